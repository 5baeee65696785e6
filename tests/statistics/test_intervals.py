"""Intervals against SciPy, Student's t, published scores and simulations."""

import numpy as np
import pytest
import scipy.stats

from mlrpl.evaluation.average_precision import average_precision
from mlrpl.statistics.intervals import (
    BCA,
    NONE,
    PERCENTILE,
    _bca,
    estimate,
    stretch,
)
from mlrpl.statistics.intervals import student_quantile as quantile
from mlrpl.statistics.resampling import image_counts, jackknife_groups
from mlrpl.statistics.weighted_metrics import WeightedMetrics


def of_mean(sample: np.ndarray, resamples: int) -> np.ndarray:
    """The mean of a sample as `estimate` takes a metric of images [1, 1 + R + G]."""
    counts = image_counts(len(sample), resamples, jackknife_groups(len(sample)))
    rows = np.concatenate(list(counts)).astype(float)
    return (rows @ sample / rows.sum(axis=1))[None]


@pytest.mark.parametrize("level", [0.9, 0.95])
def test_one_sample_is_scipys_bca(level):
    """A skewed sample, so that BCa's ends are not the percentiles'."""
    sample = np.random.default_rng(3).exponential(size=60) ** 1.5
    found = estimate(of_mean(sample, 20_000), 20_000, 60, level)
    arguments = {"n_resamples": 20_000, "confidence_level": level, "rng": 1}
    ends = {}
    for kind in ("BCa", "percentile"):
        ends[kind] = scipy.stats.bootstrap(
            *((sample,), np.mean), method=kind, **arguments
        ).confidence_interval
    width = ends["BCa"].high - ends["BCa"].low
    assert found.kind == BCA and found.value == pytest.approx(sample.mean())
    assert found.low == pytest.approx(ends["BCa"].low, abs=0.03 * width)
    assert found.high == pytest.approx(ends["BCa"].high, abs=0.03 * width)
    assert ends["BCa"].high - ends["percentile"].high > 0.05 * width


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 5, 9, 30])
@pytest.mark.parametrize("probability", [0.9, 0.975, 0.999])
def test_students_quantile_is_scipys(freedom, probability):
    expected = scipy.stats.t.ppf(probability, freedom)
    assert quantile(probability, freedom) == pytest.approx(expected, rel=1e-9)


def test_the_stretch_makes_three_seeds_as_wide_as_students_interval():
    assert stretch(3) == pytest.approx(np.sqrt(3 / 2) * 4.30265273 / 1.95996398)
    assert stretch(1000) == pytest.approx(1, abs=0.003)


# Share of the variance that is between images, and number of seeds.
CASES = [(1, 1.0), (3, 0.0), (3, 0.5), (3, 1.0), (8, 0.0), (8, 0.5), (8, 1.0)]


@pytest.mark.parametrize(("seeds", "share"), CASES)
def test_intervals_hold_the_truth_as_often_as_they_say(seeds, share):
    """Known truth 0: seeds and images move a value by normal deviations."""
    random = np.random.default_rng([seeds, round(10 * share)])
    resamples, held = 400, 0
    for _ in range(500):
        by_seed = random.normal(0, np.sqrt((1 - share) * seeds), (seeds, 1))
        moved = random.normal(0, np.sqrt(share), 1 + resamples + 50)
        moved[1 + resamples :] *= 0.1
        moved[1:] += moved[0]
        found = estimate(by_seed + moved, resamples, 100)
        held += found.low <= 0 <= found.high
    assert 0.92 <= held / 500 <= 0.98


def test_intervals_of_map_hold_the_truth_of_a_known_population():
    """Images drawn from a population of 20,000, whose own mAP is the truth."""
    random = np.random.default_rng(0)
    targets = np.where(random.random((20_000, 3)) < [0.2, 0.3, 0.5], 1, -1)
    scores = random.standard_normal(targets.shape) + 0.7 * targets
    truth = average_precision(scores, targets).noninterpolated.mean()
    resamples, held = 200, 0
    counts = np.concatenate(list(image_counts(400, resamples, 40)))
    for _ in range(500):
        drawn = random.integers(20_000, size=400)
        metrics, _ = WeightedMetrics(scores[drawn], targets[drawn], 0.0)(counts)
        found = estimate(metrics["mAP_noninterpolated"][None], resamples, 400)
        held += found.low <= truth <= found.high
    assert 0.92 <= held / 500 <= 0.98


def test_published_scores_of_voc_move_by_a_quarter_of_a_point(oracles):
    """The deviation over test images: 0.27 mAP, and the jackknife's is the same."""
    stored = np.load(oracles / "dualcoop_voc2007test_predictions.npz")
    scores, targets = stored["preds_local"], stored["targets"].astype(np.int8)
    metrics = WeightedMetrics(scores, targets, 0.0)
    parts = [metrics(counts)[0]["mAP"] for counts in image_counts(4952, 500, 200)]
    values = np.concatenate(parts)
    assert values[0] == pytest.approx(94.28, abs=0.005)
    assert values[1:501].std(ddof=1) == pytest.approx(0.27, abs=0.02)
    left_out = values[501:]
    jackknife = np.sqrt(199 / 200 * ((left_out - left_out.mean()) ** 2).sum())
    assert jackknife == pytest.approx(0.27, abs=0.03)
    found = estimate(values[None], 500, 4952)
    assert found.kind == BCA
    assert found.high - found.low == pytest.approx(4 * 0.27, abs=0.15)


def test_the_skewness_of_few_seeds_is_taken_to_be_none():
    """That of six and more counts: the acceleration is SciPy's of the seeds' means."""
    drawn, jackknife = np.linspace(-1, 1, 100), np.zeros(20)
    for seeds in (5, 6, 12):
        values = np.append(np.zeros(seeds - 1), 1.0)
        _, found = _bca(0.0, drawn, jackknife, values)
        expected = scipy.stats.skew(values) / (6 * np.sqrt(seeds))
        assert found == pytest.approx(expected if seeds >= 6 else 0)


def test_the_bias_of_few_images_is_corrected_with_few_seeds_too():
    """Rare classes, 150 images: the AP is too high, that of resamples higher still."""
    random = np.random.default_rng(1)
    targets = np.where(random.random((20_000, 4)) < [0.05, 0.1, 0.2, 0.4], 1, -1)
    base = random.standard_normal(targets.shape) + 0.7 * targets

    def seeds(rows):
        noise = 0.3 * random.standard_normal((3, len(rows), 4))
        return [base[rows] + own for own in noise]

    every = np.arange(20_000)
    truth = np.mean([average_precision(s, targets).envelope for s in seeds(every)])
    counts = np.concatenate(list(image_counts(150, 300, 50)))
    below = {BCA: 0, PERCENTILE: 0}
    for _ in range(100):
        rows = random.integers(20_000, size=150)
        metrics = [
            WeightedMetrics(s, targets[rows], 0.0)(counts)[0] for s in seeds(rows)
        ]
        values = np.array([found["mAP"] for found in metrics])
        found = estimate(values, 300, 150)
        below[BCA] += truth < found.low
        below[PERCENTILE] += truth < np.quantile(values[:, 1:301].mean(axis=0), 0.025)
    assert below[BCA] < below[PERCENTILE] / 2, below


def test_a_value_that_some_resamples_lack():
    """Left out while most have it; no interval where half lack it."""
    values = np.random.default_rng(0).normal(50, 1, (1, 1 + 100 + 20))
    values[0, 1:20] = np.nan
    found = estimate(values, 100, 20)
    assert found.kind == PERCENTILE and found.low < found.value < found.high
    values[0, 1:60] = np.nan
    assert estimate(values, 100, 20).kind == NONE
    values[0, 0] = np.nan
    assert np.isnan(estimate(values, 100, 20).value)


def test_one_image_has_no_interval():
    found = estimate(np.full((3, 1 + 100 + 1), 70.0), 100, 1)
    assert found.value == 70 and found.kind == NONE
    assert np.isnan([found.low, found.high, found.p]).all()


def test_a_value_that_never_moves_has_an_interval_of_no_width():
    found = estimate(np.full((1, 1 + 100 + 20), 70.0), 100, 20)
    assert (found.low, found.high, found.kind) == (70, 70, PERCENTILE)


def test_p_is_where_the_interval_ends_at_zero():
    values = np.random.default_rng(4).exponential(1, (1, 1 + 2000 + 50)) - 0.1
    values[0, 0] = np.median(values)
    p = estimate(values, 2000, 50).p
    assert estimate(values, 2000, 50, 1 - p).low == pytest.approx(0, abs=0.01)
    far = estimate(np.abs(values) + 5, 2000, 50)
    assert far.p < 0.01
