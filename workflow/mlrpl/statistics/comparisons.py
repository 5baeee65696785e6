"""Runs with seeds and proportions: their values, and how two methods differ.

Seeds that two methods share have the same known labels, and resamples the same test
images, so that a difference is taken within each. Proportions of one seed are not
independent, since their known labels are nested: their average is taken first, of each
seed and resample, and seeds are resampled for all of them together.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mlrpl.errors import UserError
from mlrpl.statistics.intervals import ENOUGH_SEEDS, LEVEL, Estimate, estimate
from mlrpl.statistics.resample_files import Resamples
from mlrpl.statistics.significance import holm, sign_flip

AVERAGE = "average"
ALL_CLASSES = "all"
FREQUENCIES = ("rare", "medium", "frequent")

# A number of a run's test images and of each resample [1 + R + G].
Statistic = Callable[[Resamples], np.ndarray]
# One method's runs on one data set, by proportion and seed.
Grid = dict[float, dict[int, Resamples]]


@dataclass(frozen=True)
class Comparison:
    """One method against another, at one proportion or on average.

    Attributes:
        dataset: name of the data set.
        method: the method.
        against: what it is compared with.
        metric: name of the metric, percent.
        prop: proportion of known labels as text, or `average`.
        classes: `all`, `rare`, `medium`, `frequent`, or a class's name.
        positives: test images that show any of these classes, each class counted.
        seeds: those that both methods have.
        value: of the method.
        other: of the other one.
        difference: `value` minus `other`, with its interval.
        p: the larger one of the sign-flip test's over the seeds and of the bootstrap's;
            nan with fewer than six seeds, and for parts of the classes.
        resamples: R, behind the interval.
        p_holm: that, adjusted for the comparisons of the same kind.
    """

    dataset: str
    method: str
    against: str
    metric: str
    prop: str
    classes: str
    positives: int
    seeds: tuple[int, ...]
    value: float
    other: float
    difference: Estimate
    p: float
    resamples: int
    p_holm: float = math.nan


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


def pairs(
    runs: dict[tuple[str, str], Grid], against: str | Mapping[str, str]
) -> list[tuple[str, str, str]]:
    """Return what is compared: data set, method, and the method that it is compared to.

    Args:
        runs: as `grids` returns them.
        against: one method for all others, or one for each method.

    Raises:
        UserError: a method without a run, or nothing to compare.
    """
    methods = list(dict.fromkeys(method for _, method in runs))
    if isinstance(against, str):
        named = [against]
        against = {method: against for method in methods if method != against}
    else:
        named = [*against, *against.values()]
    for wanted in named:
        if wanted not in methods:
            raise UserError(
                f"--against {wanted}: there is no run of it; the methods are "
                f"{', '.join(methods)}"
            )
    found = [
        (dataset, method, against[method])
        for dataset, method in runs
        if method in against and (dataset, against[method]) in runs
    ]
    if not found:
        raise UserError(
            f"--against {named[0]}: there is no other method on its data sets; give "
            "runs of two methods at least"
        )
    return found


def compare(
    runs: dict[tuple[str, str], Grid],
    against: str | Mapping[str, str],
    metrics: Sequence[str],
    level: float = LEVEL,
) -> list[Comparison]:
    """Compare each method with one, at each proportion and on average.

    The average is over the proportions that both methods have. mAP is compared for
    parts of the classes too.

    Args:
        runs: as `grids` returns them.
        against: the method to compare the others with, or that of each method.
        metrics: names.
        level: of the intervals.

    Raises:
        UserError: nothing to compare, or a metric that is not resampled.
    """
    rows = []
    for pair in pairs(runs, against):
        dataset, method, base = pair
        grid = runs[dataset, method]
        columns = _columns(grid, runs[dataset, base])
        if not columns:
            raise UserError(
                f"{dataset}: {method} and {base} have no seed in common at any "
                "proportion; run them with the same seeds"
            )
        run = next(iter(next(iter(grid.values())).values()))
        for wanted in metrics:
            parts = {ALL_CLASSES: (metric(wanted), int(run.positives.sum()))}
            if wanted == "mAP":
                for part, chosen in frequencies(run.positives).items():
                    count = int(run.positives[chosen].sum())
                    parts[part] = class_mean(chosen), count
            for part, (statistic, count) in parts.items():
                rows += [
                    _row((*pair, wanted, prop, part, count), statistic, *column, level)
                    for prop, column in columns.items()
                ]
    return adjusted(rows)


def by_class(
    runs: dict[tuple[str, str], Grid],
    against: str | Mapping[str, str],
    level: float = LEVEL,
) -> list[Comparison]:
    """Compare the AP of each class, at each proportion and on average.

    The intervals are of one class each and not corrected for their number.
    """
    rows = []
    for pair in pairs(runs, against):
        dataset, method, base = pair
        grid = runs[dataset, method]
        run = next(iter(next(iter(grid.values())).values()))
        for prop, column in _columns(grid, runs[dataset, base]).items():
            for c, title in enumerate(run.classes):
                labels = (*pair, "AP", prop, title, int(run.positives[c]))
                rows.append(_row(labels, class_mean(np.array([c])), *column, level))
    return rows


def _columns(
    grid: Grid, other: Grid
) -> dict[str, tuple[Grid, Grid, list[float], list[int]]]:
    """Return what is compared: by proportion and on average, with the common seeds."""
    props = sorted(set(grid) & set(other))
    groups = {f"{prop:g}": [prop] for prop in props}
    if len(props) > 1:
        groups[AVERAGE] = props
    columns = {}
    for label, chosen in groups.items():
        both = set(complete_seeds(grid, chosen)) & set(complete_seeds(other, chosen))
        if both:
            columns[label] = (grid, other, chosen, sorted(both))
    return columns


def _row(
    labels: tuple[str, str, str, str, str, str, int],
    statistic: Statistic,
    grid: Grid,
    other: Grid,
    props: list[float],
    seeds: list[int],
    level: float,
) -> Comparison:
    own, theirs = (values(g, statistic, props, seeds) for g in (grid, other))
    run = grid[props[0]][seeds[0]]
    found = estimate(own - theirs, run.resamples, run.images, level)
    p = math.nan
    if len(seeds) >= ENOUGH_SEEDS and labels[5] == ALL_CLASSES:
        p = max(sign_flip((own - theirs)[:, 0]), found.p)
    means = float(own[:, 0].mean()), float(theirs[:, 0].mean())
    return Comparison(*labels, tuple(seeds), *means, found, p, run.resamples)


def adjusted(rows: Sequence[Comparison]) -> list[Comparison]:
    """Return comparisons with Holm's p, over the averages and over the proportions.

    These are two questions: which methods differ, and where. Each metric is one of its
    own.
    """
    families: dict[tuple[str, bool], list[int]] = {}
    for i, row in enumerate(rows):
        if not math.isnan(row.p):
            families.setdefault((row.metric, row.prop == AVERAGE), []).append(i)
    result = list(rows)
    for members in families.values():
        for i, p in zip(members, holm([rows[i].p for i in members]), strict=True):
            result[i] = replace(rows[i], p_holm=p)
    return result
