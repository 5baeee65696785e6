"""Confidence intervals of a number that has test images and seeds behind it.

A value is the mean over the seeds of a metric of the test images. Images are resampled,
the same for all seeds, and so are seeds: each resample's mean over its drawn seeds
differs from that over all seeds by a deviation, which is added to the metric of the
resampled images. The ends of the interval are

* **BCa** (bias-corrected and accelerated; Efron 1987): quantiles that are moved by the
  share of resamples below the value, and by the skewness that the jackknife over parts
  of the images and over the seeds finds. The AP of few images is too high on average,
  and that of their resamples higher still, which this corrects. A mean over seeds has
  no such bias, so that their deviations count with either sign there; and the skewness
  of fewer than six seeds cannot be told and is taken to be none;
* **percentile**: plain quantiles, where BCa does not hold: where a resample has no
  value, or all are on one side of the value of the test images.

A plain bootstrap of S values is too narrow: by sqrt((S - 1) / S), and since it takes
the normal distribution's quantile where it should be Student's; that of three covers
75 % and not 95. The deviations of the seeds are therefore stretched by the ratio of the
two (Hesterberg 2015, section 4.3).
"""

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from mlrpl.statistics.resampling import seed_draws

# With fewer the sign-flip test of the seeds cannot go below p = 0.05.
ENOUGH_SEEDS = 6
LEVEL = 0.95
BCA, PERCENTILE, NONE = "BCa", "percentile", ""

_NORMAL = NormalDist()


@dataclass(frozen=True)
class Estimate:
    """A value with its interval.

    Attributes:
        value: the mean over the seeds on the test images as they are.
        low: lower end; nan without an interval.
        high: upper end.
        kind: `BCa`, `percentile`, or empty without an interval.
        seeds: how many are behind it.
        p: of the bootstrap, two-sided, that the value is 0: the smallest share outside
            an interval that leaves 0 out. nan without an interval.
    """

    value: float
    low: float
    high: float
    kind: str
    seeds: int
    p: float


def estimate(
    values: np.ndarray, resamples: int, images: int, level: float = LEVEL
) -> Estimate:
    """Return the mean over seeds with its interval.

    Args:
        values: [S, 1 + R + G], of each seed: the metric of the test images, of R
            resamples and of G times all but a part of them
            (`resampling.image_counts`); nan where there is none.
        resamples: R.
        images: N, of the test set. With one image there is no interval.
        level: of the interval.
    """
    seeds = len(values)
    mean = values.mean(axis=0)
    value, jackknife = float(mean[0]), mean[1 + resamples :]
    of_images, deviation = mean[1 : 1 + resamples], np.zeros(resamples)
    if seeds > 1:
        draws = seed_draws(seeds, resamples)
        chosen = values[draws, np.arange(1, 1 + resamples)[:, None]].mean(axis=1)
        deviation = stretch(seeds, level) * (chosen - of_images)
    drawn = of_images + deviation
    there = drawn[~np.isnan(drawn)]
    if math.isnan(value) or images < 2 or len(there) <= resamples / 2:
        return Estimate(value, math.nan, math.nan, NONE, seeds, math.nan)
    shift, acceleration = 0.0, 0.0
    kind = PERCENTILE
    if len(there) == resamples:
        either = np.concatenate([drawn, of_images - deviation])
        found = _bca(value, either, jackknife, values[:, 0])
        if found is not None:
            (shift, acceleration), kind = found, BCA
    ends = _probabilities(shift, acceleration, level)
    low, high = np.quantile(there, ends)
    p = _p_value(there, shift, acceleration)
    return Estimate(value, float(low), float(high), kind, seeds, p)


def stretch(seeds: int, level: float = LEVEL) -> float:
    """Return the factor that makes a bootstrap of S values as wide as Student's."""
    tail = (1 - level) / 2
    ratio = student_quantile(1 - tail, seeds - 1) / _NORMAL.inv_cdf(1 - tail)
    return math.sqrt(seeds / (seeds - 1)) * ratio


def student_quantile(probability: float, freedom: int) -> float:
    """Return Student's quantile for a probability above 1/2 and whole freedom."""
    low, high = 0.0, 1.0
    while student_cdf(high, freedom) < probability:
        high *= 2
    for _ in range(80):
        middle = (low + high) / 2
        if student_cdf(middle, freedom) < probability:
            low = middle
        else:
            high = middle
    return high


def student_cdf(t: float, freedom: int) -> float:
    """Return Student's distribution function at t >= 0.

    The finite series of Abramowitz and Stegun 26.7.3 and 26.7.4.
    """
    angle = math.atan(t / math.sqrt(freedom))
    cosine, sine = math.cos(angle), math.sin(angle)
    odd = freedom % 2
    term = cosine if odd else 1.0
    total = term if freedom > 1 else 0.0
    for k in range(2 + odd, freedom - 1, 2):
        term *= cosine**2 * (k - 1) / k
        total += term
    inside = 2 / math.pi * (angle + sine * total) if odd else sine * total
    return 0.5 + inside / 2


def _bca(
    value: float, drawn: np.ndarray, jackknife: np.ndarray, by_seed: np.ndarray
) -> tuple[float, float] | None:
    """Return bias correction and acceleration; None where they are not defined.

    The acceleration is that of independent samples (Davison and Hinkley 1997, section
    5.3), here the images, whose influences are the jackknife's, and the seeds.

    Args:
        value: of the test images as they are.
        drawn: values of resamples.
        jackknife: values without a part of the images [G].
        by_seed: values of the seeds [S], whose mean is `value`.
    """
    below = np.mean(drawn < value) + np.mean(drawn == value) / 2
    if not 0 < below < 1 or len(jackknife) < 2 or np.isnan(jackknife).any():
        return None
    image = jackknife.mean() - jackknife
    seed = (by_seed - by_seed.mean()) / len(by_seed)
    squares = (image**2).sum() + (seed**2).sum()
    if squares == 0:
        return None
    cubes = (image**3).sum()
    if len(by_seed) >= ENOUGH_SEEDS:
        cubes += (seed**3).sum()
    return _NORMAL.inv_cdf(float(below)), float(cubes / (6 * squares**1.5))


def _probabilities(shift: float, acceleration: float, level: float) -> list[float]:
    """Return at which quantiles of the resamples the ends are."""
    ends = []
    for tail in ((1 - level) / 2, (1 + level) / 2):
        moved = shift + _NORMAL.inv_cdf(tail)
        ends.append(_NORMAL.cdf(shift + moved / (1 - acceleration * moved)))
    return ends


def _p_value(drawn: np.ndarray, shift: float, acceleration: float) -> float:
    """Return at which share outside, in all, the interval's end is at 0."""
    least = 1 / (len(drawn) + 1)
    below = np.mean(drawn < 0) + np.mean(drawn == 0) / 2
    below = min(max(float(below), least), 1 - least)
    moved = _NORMAL.inv_cdf(below) - shift
    z = moved / (1 + acceleration * moved) - shift
    return min(1.0, 2 * _NORMAL.cdf(-abs(z)))
