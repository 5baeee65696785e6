"""What was reproduced: of each table the averages that are printed and those made.

Read from the tables' CSV, so that the page says what the tables say.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from mlrpl.reporting.results import read_csv
from mlrpl.reporting.specs import listed
from mlrpl.reporting.table_grid import Grid, Group, Head, Line, Text, signed
from mlrpl.reporting.table_model import DIFFERENCE, RUN

TITLE = "Printed and made"
NEEDED = ("dataset", "dataset_title", "source", "method", "title", "seeds")
HEADS = ("Printed", "This run", "Difference", "Seeds")


def build(tables: Sequence[tuple[str, str | Path]]) -> Grid:
    """Return a table with a group for each table and data set.

    An average is over the proportions that the table averages over; where this run has
    not all of them, it is over those that the run has, which the line says.

    Args:
        tables: what each is called, and its CSV; one that is no table of results,
            with rows of methods out of `source`, is left out.

    Raises:
        UserError: a file that cannot be read.
    """
    groups = []
    for name, path in tables:
        frame = read_csv(path)
        if not set(NEEDED) <= set(frame):
            continue
        ours = frame[frame["source"] == RUN]
        for title in ours["dataset_title"].unique():
            theirs = frame[frame["source"] == DIFFERENCE]
            rows = ours[ours["dataset_title"] == title]
            lines = [
                line
                for _, row in rows.iterrows()
                for line in _lines(row, theirs, _keys(frame))
            ]
            if lines:
                groups.append(Group(f"{name}: {title}", lines, [name, title]))
    heads = [Head("Method"), Head("Number")]
    heads += [Head(text, number=True) for text in HEADS]
    notes = [
        "Percent, after the last epoch. Printed numbers stand where they are of the "
        "same data; the difference is this run minus the paper."
    ]
    if not any(line.cells[2].text for group in groups for line in group.lines):
        notes.append("The data here are not the paper's, or nothing has run yet.")
    return Grid(TITLE, heads, groups, notes, ["Table", "Data set"])


def _keys(frame: pd.DataFrame) -> list[str]:
    """Return the columns of percentages: those that have a deviation beside them."""
    keys = [k for k in frame if f"{k}_sd" in frame]
    return [key for key in keys if not key.endswith("_best")]


def _lines(
    row: pd.Series, differences: pd.DataFrame, keys: list[str]
) -> Iterator[Line]:
    """Yield a line for each metric of a row that was run."""
    same = differences["dataset"].eq(row["dataset"])
    same &= differences["method"].eq(row["method"])
    if "metric" in row:
        same &= differences["metric"].eq(row["metric"])
    found = differences[same]
    between = found.iloc[0] if len(found) else None
    proportions = [key for key in keys if _is_number(key)]
    if not proportions:
        for key in keys:
            if pd.notna(row[key]):
                yield _line(row, f"Avg. {key}", *_average(row, between, [key]))
        return
    metric = row.get("metric", "mAP")
    if pd.notna(row["average"]):
        yield _line(row, f"Avg. {metric}", *_average(row, between, ["average"]))
        return
    usable = [key for key in proportions if pd.notna(row[key])]
    if between is not None:
        usable = [key for key in usable if pd.notna(between[key])]
    if usable:
        number = f"{metric} at {listed(usable)}"
        yield _line(row, number, *_average(row, between, usable))


def _average(
    row: pd.Series, between: pd.Series | None, keys: list[str]
) -> tuple[float, float | None]:
    """Return this run's mean over columns, and its mean difference if there is one."""
    made = float(row[keys].astype(float).mean())
    if between is None or between[keys].isna().any():
        return made, None
    return made, float(between[keys].astype(float).mean())


def _line(row: pd.Series, number: str, made: float, between: float | None) -> Line:
    texts = ["", ""]
    if between is not None:
        texts = [f"{made - between:.1f}", signed(between, 1)]
    seeds: Any = row["seeds"]
    cells = [row["title"], number, texts[0], f"{made:.1f}", texts[1]]
    cells.append("" if pd.isna(seeds) else str(seeds))
    return Line([Text(cell) for cell in cells], RUN)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
