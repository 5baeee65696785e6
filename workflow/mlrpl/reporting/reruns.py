"""Two folders of results: which numbers differ by more than the seeds explain.

A rerun, another machine or another version of the code should give the same numbers, or
numbers that differ as those of other seeds would. Each number here is a mean over the
seeds of one method on one data set at one proportion. Its deviation over the seeds is
taken from both folders together; with one seed in each there is none, and then that of
the method's other proportions stands in.
"""

import csv
import math
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import numpy as np
import pandas as pd

from mlrpl.errors import UserError
from mlrpl.evaluation.metrics import METRICS
from mlrpl.reporting.results import load_metrics
from mlrpl.runtime.storage import atomic_path
from mlrpl.statistics.intervals import student_cdf
from mlrpl.statistics.significance import holm

EQUAL, EXPLAINED, BEYOND, UNKNOWN = "equal", "explained", "beyond", "unknown"
SIGNIFICANT = 0.05


@dataclass(frozen=True)
class Number:
    """One number of two folders.

    Attributes:
        dataset: name of the data set.
        method: name of the method.
        prop: proportion of known labels.
        metric: name of the metric, percent.
        first: mean over the seeds in the first folder.
        second: in the second.
        difference: the second minus the first.
        deviation: sample standard deviation over seeds; nan if nothing tells it.
        seeds: how many there are in the first and in the second folder.
        p_holm: of a difference so large from seeds alone, adjusted for all numbers
            that are not equal; nan for one that is, or without a deviation.
        verdict: `equal` to the bit, `explained` by the seeds, `beyond` that, `unknown`.
    """

    dataset: str
    method: str
    prop: float
    metric: str
    first: float
    second: float
    difference: float
    deviation: float
    seeds: str
    p_holm: float
    verdict: str


def compare(
    first: str | Path, second: str | Path, metrics: Sequence[str], epoch: str
) -> tuple[list[Number], int]:
    """Return every number that both folders have, and how many settings one has alone.

    Args:
        first: a folder with `metrics.json` files at any depth.
        second: another one.
        metrics: names of those to compare.
        epoch: `last`, `best` or `validated`.

    Raises:
        UserError: an unknown metric, a folder without results, or none in common.
    """
    for name in metrics:
        if name not in METRICS:
            raise UserError(
                f"--metric: {name} is unknown; choose from {', '.join(METRICS)}"
            )
    frames = [_load(folder, epoch) for folder in (first, second)]
    keys = ["dataset", "method", "prop"]
    cells = [dict(list(frame.groupby(keys))) for frame in frames]
    shared = [key for key in cells[0] if key in cells[1]]
    if not shared:
        raise UserError(
            f"{second}: has no setting of {first}; give two folders with runs of the "
            "same data set, method and proportion"
        )
    found = [
        (key, metric, *(np.array(c[key][metric], dtype=float) for c in cells))
        for key in shared
        for metric in metrics
    ]
    spreads = [_spread(*pair) for _, _, *pair in found]
    pooled: dict[tuple, tuple[float, int]] = {}
    for (key, metric, *_), (squares, freedom) in zip(found, spreads, strict=True):
        group = (*key[:2], metric)
        before = pooled.get(group, (0.0, 0))
        pooled[group] = before[0] + squares, before[1] + freedom
    judged = []
    for (key, metric, a, b), own in zip(found, spreads, strict=True):
        squares, freedom = own if own[1] else pooled[(*key[:2], metric)]
        deviation = math.sqrt(squares / freedom) if freedom else math.nan
        difference = float(b.mean() - a.mean())
        same = len(a) == len(b) and np.array_equal(a, b)
        p = _p_value(difference, deviation, freedom, len(a), len(b))
        p = math.nan if same else p  # no comparison: there is nothing to explain
        judged.append((key, metric, a, b, difference, deviation, p, same))
    adjusted = holm([p for *_, p, _ in judged])
    numbers = [
        Number(
            *(*key, metric, float(a.mean()), float(b.mean()), difference, deviation),
            seeds=f"{len(a)} {len(b)}",
            p_holm=p_holm,
            verdict=_verdict(same, p_holm),
        )
        for (key, metric, a, b, difference, deviation, _, same), p_holm in zip(
            judged, adjusted, strict=True
        )
    ]
    return numbers, len(set(cells[0]) ^ set(cells[1]))


def write(
    numbers: Sequence[Number],
    first: str | Path,
    second: str | Path,
    alone: int,
    prefix: str | Path,
) -> str:
    """Write PREFIX.csv and PREFIX.md; return the Markdown.

    Args:
        numbers: what both folders have.
        first: the first folder.
        second: the second one.
        alone: how many settings one of them alone has.
        prefix: of the files' paths.
    """
    names = [field.name for field in fields(Number)]
    with atomic_path(f"{prefix}.csv") as path, path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(names)
        for number in numbers:
            writer.writerow("" if _nan(v) else v for v in astuple(number))
    text = markdown(numbers, first, second, alone)
    with atomic_path(f"{prefix}.md") as path:
        path.write_text(text, encoding="utf-8")
    return text


def markdown(
    numbers: Sequence[Number], first: str | Path, second: str | Path, alone: int
) -> str:
    """Return how many numbers differ and why, and those that seeds do not explain."""
    counts = {
        verdict: sum(number.verdict == verdict for number in numbers)
        for verdict in (EQUAL, EXPLAINED, BEYOND, UNKNOWN)
    }
    lines = [
        f"# {second} against {first}",
        "",
        f"Of {len(numbers)} numbers (means over the seeds) {counts[EQUAL]} are equal "
        f"to the bit, {counts[EXPLAINED]} differ by no more than other seeds would, "
        f"{counts[BEYOND]} by more.",
    ]
    if alone:
        lines += ["", f"{alone} settings are in one of the two alone."]
    if counts[UNKNOWN]:
        lines += [
            "",
            f"{counts[UNKNOWN]} differ and have one seed in each folder: nothing says "
            "by how much seeds would move them.",
        ]
    shown = [n for n in numbers if n.verdict in (BEYOND, UNKNOWN)]
    if shown:
        lines += ["", "| data set | method | known | metric | first | second |"]
        lines[-1] += " difference | deviation | p (Holm) | |"
        lines.append("|---|---|---:|---|" + "---:|" * 5 + "---|")
        lines += [
            f"| {n.dataset} | {n.method} | {100 * n.prop:g} % | {n.metric} "
            f"| {n.first:.2f} | {n.second:.2f} | {n.difference:+.3f} "
            f"| {_shown(n.deviation, '.3f')} | {_shown(n.p_holm, '.2g')} "
            f"| {n.verdict} |"
            for n in shown
        ]
    return "\n".join(lines) + "\n"


def _load(folder: str | Path, epoch: str) -> pd.DataFrame:
    paths = sorted(Path(folder).rglob("metrics.json"))
    if not paths:
        raise UserError(
            f"{folder}: no metrics.json is in it; give a folder of results, or its runs"
        )
    frame = load_metrics(paths)
    return frame[frame["epoch"] == epoch].sort_values("seed", kind="stable")


def _spread(a: np.ndarray, b: np.ndarray) -> tuple[float, int]:
    """Return the sum of squares within both, and its degrees of freedom."""
    squares = sum(float(((x - x.mean()) ** 2).sum()) for x in (a, b))
    return squares, len(a) + len(b) - 2


def _p_value(
    difference: float, deviation: float, freedom: int, first: int, second: int
) -> float:
    """Return Student's two-sided p of two means; nan without a deviation."""
    if math.isnan(deviation):
        return math.nan
    error = deviation * math.sqrt(1 / first + 1 / second)
    if error == 0:
        return float(difference == 0)
    return 2 * (1 - student_cdf(abs(difference) / error, freedom))


def _verdict(same: bool, p_holm: float) -> str:
    if same:
        return EQUAL
    if math.isnan(p_holm):
        return UNKNOWN
    return BEYOND if p_holm < SIGNIFICANT else EXPLAINED


def _nan(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _shown(value: float, form: str) -> str:
    return "" if math.isnan(value) else format(value, form)
