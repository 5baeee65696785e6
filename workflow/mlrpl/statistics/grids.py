"""Runs with seeds and proportions, and their numbers with intervals.

Proportions of one seed are not independent, since their known labels are nested: their
average is taken first, of each seed and resample, and seeds are resampled for all of
them together.
"""

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from mlrpl.errors import UserError
from mlrpl.statistics.intervals import LEVEL, Estimate, estimate
from mlrpl.statistics.resample_files import Resamples

FREQUENCIES = ("rare", "medium", "frequent")

# A number of a run's test images and of each resample [1 + R + G].
Statistic = Callable[[Resamples], np.ndarray]
# One method's runs on one data set, by proportion and seed.
Grid = dict[float, dict[int, Resamples]]


def grids(files: Iterable[Resamples]) -> dict[tuple[str, str], Grid]:
    """Return runs by data set and method, then by proportion and seed.

    Raises:
        UserError: a setting twice, or runs of one data set with other test images,
            classes, epochs or numbers of resamples.
    """
    found: dict[tuple[str, str], Grid] = {}
    first: dict[str, Resamples] = {}
    for run in files:
        dataset, method = run.setting["dataset"], run.setting["method"]
        prop, seed = run.setting["prop"], run.setting["seed"]
        seeds = found.setdefault((dataset, method), {}).setdefault(prop, {})
        if seed in seeds:
            raise UserError(f"{name(run)}: is given twice; give each run once")
        seeds[seed] = run
        _check_alike(run, first.setdefault(dataset, run))
    return found


def name(run: Resamples) -> str:
    """Return a run as its folder has it: coco2014/sarl/prop=0.1/seed=0."""
    setting = run.setting
    place = f"{setting['dataset']}/{setting['method']}"
    return f"{place}/prop={setting['prop']}/seed={setting['seed']}"


def _check_alike(run: Resamples, other: Resamples) -> None:
    if run.classes != other.classes:
        raise UserError(
            f"{name(run)}: its classes are not those of {name(other)}; compare runs "
            "of one data set"
        )
    if run.test_set != other.test_set:
        raise UserError(
            f"{name(run)}: its test images or their labels are not those of "
            f"{name(other)}; evaluate both with one index"
        )
    for key in ("epoch", "resamples"):
        own, theirs = getattr(run, key), getattr(other, key)
        if own != theirs:
            raise UserError(
                f"{name(run)}: has {key} {own}, and {name(other)} {theirs}; make both "
                "with the same `mlrpl resample`"
            )


def metric(wanted: str) -> Statistic:
    """Return the statistic of a metric's name.

    Raises:
        UserError: when it is called, for a metric that is not resampled.
    """

    def statistic(run: Resamples) -> np.ndarray:
        if wanted not in run.metrics:
            raise UserError(
                f"metric {wanted}: has no resamples; choose from "
                f"{', '.join(run.metrics)}"
            )
        return run.metrics[wanted]

    return statistic


def class_mean(columns: np.ndarray) -> Statistic:
    """Return the mean AP over some classes; those without a positive are left out."""

    def statistic(run: Resamples) -> np.ndarray:
        ap = run.ap[:, columns]
        there = ~np.isnan(ap)
        count = there.sum(axis=1)
        mean = np.where(there, ap, 0).sum(axis=1) / np.maximum(count, 1)
        return np.where(count > 0, mean, np.nan)

    return statistic


def frequencies(positives: np.ndarray) -> dict[str, np.ndarray]:
    """Return three parts of the classes, as equal in number as can be.

    Args:
        positives: test images that show each class [C]. Classes without any have no AP
            and are in no part; with fewer than three others there are no parts.

    Returns:
        Numbers of the classes by `rare`, `medium`, `frequent`.
    """
    order = [c for c in np.argsort(positives, kind="stable") if positives[c]]
    if len(order) < len(FREQUENCIES):
        return {}
    parts = np.array_split(np.array(order), len(FREQUENCIES))
    return dict(zip(FREQUENCIES, parts, strict=True))


def values(
    grid: Grid, statistic: Statistic, props: Sequence[float], seeds: Sequence[int]
) -> np.ndarray:
    """Return a statistic by seed, averaged over proportions [S, 1 + R + G]."""
    return np.array(
        [
            np.mean([statistic(grid[prop][seed]) for prop in props], axis=0)
            for seed in seeds
        ]
    )


def complete_seeds(grid: Grid, props: Sequence[float]) -> list[int]:
    """Return the seeds that there are at each of some proportions, in order."""
    each = [set(grid.get(prop, {})) for prop in props]
    return sorted(set.intersection(*each)) if each else []


def interval(
    grid: Grid,
    statistic: Statistic,
    props: Sequence[float],
    level: float = LEVEL,
) -> Estimate | None:
    """Return one method's value with its interval, over seeds and test images.

    Args:
        grid: the method's runs.
        statistic: what to take of each.
        props: the proportions to average over.
        level: of the interval.

    Returns:
        None without a seed that has all proportions.
    """
    seeds = complete_seeds(grid, props)
    if not seeds:
        return None
    run = grid[props[0]][seeds[0]]
    series = values(grid, statistic, props, seeds)
    return estimate(series, run.resamples, run.images, level)
