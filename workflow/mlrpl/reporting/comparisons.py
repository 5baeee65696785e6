"""Comparisons of methods as CSV, Markdown and JSON."""

import csv
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mlrpl.reporting.specs import percent
from mlrpl.runtime.storage import atomic_path
from mlrpl.statistics.comparisons import (
    ALL_CLASSES,
    AVERAGE,
    Comparison,
)
from mlrpl.statistics.grids import FREQUENCIES
from mlrpl.statistics.intervals import BCA, ENOUGH_SEEDS, PERCENTILE
from mlrpl.statistics.significance import least_sign_flip

COLUMNS = (
    *("dataset", "method", "against", "metric", "prop", "classes", "positives"),
    *("seeds", "value", "other", "difference", "low", "high", "interval"),
    *("p", "p_holm"),
)


def record(row: Comparison) -> dict[str, Any]:
    """Return a comparison by the names of `COLUMNS`; None where there is no number."""
    found = row.difference
    content = {name: getattr(row, name) for name in COLUMNS if hasattr(row, name)}
    content |= {"difference": found.value, "low": found.low, "high": found.high}
    content |= {"interval": found.kind, "seeds": " ".join(map(str, row.seeds))}
    return {
        name: None if _missing(content[name]) else content[name] for name in COLUMNS
    }


def write(
    rows: Sequence[Comparison],
    classes: Sequence[Comparison],
    level: float,
    titles: Mapping[str, str],
    prefix: str | Path,
) -> None:
    """Write PREFIX.csv, .md and .json, and PREFIX_classes.csv with each class's AP.

    Args:
        rows: the comparisons.
        classes: those of single classes.
        level: of the intervals.
        titles: what to call methods and data sets in the Markdown.
        prefix: of the files' paths.
    """
    said = notes(rows, level, titles)
    write_rows(rows, f"{prefix}.csv")
    write_rows(classes, f"{prefix}_classes.csv")
    with atomic_path(f"{prefix}.md") as path:
        path.write_text(markdown(rows, said, titles), encoding="utf-8")
    content = {
        "level": level,
        "resamples": rows[0].resamples,
        "notes": said,
        "comparisons": [record(row) for row in rows],
    }
    with atomic_path(f"{prefix}.json") as path:
        path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def write_rows(rows: Iterable[Comparison], path: str | Path) -> None:
    """Write comparisons as CSV, numbers as they are, absent ones empty."""
    with atomic_path(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(record(row) for row in rows)


def markdown(
    rows: Sequence[Comparison], said: Sequence[str], titles: Mapping[str, str]
) -> str:
    """Return a table for each metric, those of parts of the classes, and notes."""
    lines = [f"# Differences to {_base(rows, titles) or 'another method'}"]
    for metric in dict.fromkeys(row.metric for row in rows):
        own = [row for row in rows if row.metric == metric]
        whole = [row for row in own if row.classes == ALL_CLASSES]
        lines += ["", f"## {metric}", "", *_grid(whole, "prop", titles)]
        widest = _widest(own)
        parts = [row for row in own if row.prop == widest]
        if any(row.classes in FREQUENCIES for row in parts):
            where = "on average" if widest == AVERAGE else f"at {percent(widest)}"
            lines += ["", f"By how often a class is seen, {where}:", ""]
            lines += _grid(
                [row for row in parts if row.classes in FREQUENCIES], "classes", titles
            )
    return "\n".join([*lines, "", *(f"- {note}" for note in said), ""])


def _base(rows: Sequence[Comparison], titles: Mapping[str, str]) -> str:
    """Return what all are compared with; empty if there are several."""
    bases = {row.against for row in rows}
    return titles.get(rows[0].against, rows[0].against) if len(bases) == 1 else ""


def _widest(rows: Sequence[Comparison]) -> str:
    """Return the column that says most: the average, or the only proportion."""
    props = [row.prop for row in rows]
    return AVERAGE if AVERAGE in props else props[0]


def _grid(
    rows: Sequence[Comparison], across: str, titles: Mapping[str, str]
) -> list[str]:
    """Return a Markdown table: a line a method, a column a proportion or a part."""
    keys = list(dict.fromkeys(getattr(row, across) for row in rows))
    if across == "prop":
        keys.sort(key=lambda key: (key == AVERAGE, key != AVERAGE and float(key)))
    lines = [
        f"| data set | method | {' | '.join(map(_heading, keys))} |",
        f"|---|---|{'---:|' * len(keys)}",
    ]
    base = _base(rows, titles)
    for pair in dict.fromkeys((row.dataset, row.method, row.against) for row in rows):
        cells = {
            getattr(row, across): cell(row)
            for row in rows
            if (row.dataset, row.method, row.against) == pair
        }
        dataset, method, other = (titles.get(name, name) for name in pair)
        named = f"{dataset} | {method}" + ("" if base else f" − {other}")
        lines.append(f"| {named} | {' | '.join(cells.get(k, '') for k in keys)} |")
    return lines


def _heading(key: str) -> str:
    if key == AVERAGE:
        return "Avg."
    return key if key in FREQUENCIES else percent(key)


def cell(row: Comparison) -> str:
    """Return a difference as a table has it: `+1.20 [0.81, 1.66], p = 0.03`."""
    found = row.difference
    if math.isnan(found.value):
        return ""
    text = f"{found.value:+.2f}"
    if found.kind:
        text += f" [{found.low:.2f}, {found.high:.2f}]"
    if not math.isnan(row.p_holm):
        text += f", p = {row.p_holm:.2g}"
    return text


def notes(
    rows: Sequence[Comparison], level: float, titles: Mapping[str, str]
) -> list[str]:
    """Say what the intervals are, and what they cannot say."""
    against = _base(rows, titles) or "the other one"
    counts = sorted({len(row.seeds) for row in rows})
    said = [
        f"A method minus {against}, in percentage points, and in brackets the interval "
        f"of {100 * level:g} %: {rows[0].resamples:,} resamples of the test images, "
        "the same for both, and of the seeds that both have, in which the known labels "
        "are the same."
    ]
    kinds = {row.difference.kind for row in rows}
    if kinds >= {BCA, PERCENTILE}:
        said.append("The column `interval` says which are BCa and which percentile.")
    elif BCA in kinds:
        said.append("The intervals are BCa.")
    elif PERCENTILE in kinds:
        said.append("The intervals are of the percentiles.")
    if "" in kinds:
        said.append("Without an interval: too few images or resamples have a value.")
    if counts[0] == 1:
        said.append(
            "With one seed an interval is of the test images alone and says nothing "
            "of other seeds."
        )
    if counts[0] < ENOUGH_SEEDS:
        few = [count for count in counts if 1 < count < ENOUGH_SEEDS]
        why = "".join(
            f" Of {count} seeds an exact sign-flip test cannot go below p = "
            f"{least_sign_flip(count):.2g}."
            for count in few
        )
        said.append(
            f"Nothing is called significant with fewer than {ENOUGH_SEEDS} seeds.{why}"
        )
    said += _tests(rows)
    if any(row.classes in FREQUENCIES for row in rows):
        said.append(
            "Rare, medium and frequent are thirds of the classes by their number of "
            "positive test images."
        )
    return said


def _tests(rows: Sequence[Comparison]) -> list[str]:
    """Say what p is, and what it could be at least."""
    tested = [row for row in rows if not math.isnan(row.p_holm)]
    if not tested:
        return []
    families: dict[tuple[str, bool], int] = {}
    for row in tested:
        key = (row.metric, row.prop == AVERAGE)
        families[key] = families.get(key, 0) + 1
    most = max(families.values())
    least = min(1.0, most * max(least_sign_flip(len(row.seeds)) for row in tested))
    return [
        "p is the larger one of an exact sign-flip test over the seeds and of the "
        "bootstrap, after Holm over the averages of a metric, and over its single "
        f"proportions. Of {most} comparisons the smallest one cannot go below "
        f"{least:.2g} here."
    ]


def _missing(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)
