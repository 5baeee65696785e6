"""How two methods differ, at each proportion and on average.

Seeds that two methods share have the same known labels, and resamples the same test
images, so that a difference is taken within each.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mlrpl.errors import UserError
from mlrpl.statistics.grids import (
    Grid,
    Statistic,
    class_mean,
    complete_seeds,
    frequencies,
    metric,
    values,
)
from mlrpl.statistics.intervals import ENOUGH_SEEDS, LEVEL, Estimate, estimate
from mlrpl.statistics.significance import holm, sign_flip

AVERAGE = "average"
ALL_CLASSES = "all"


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
