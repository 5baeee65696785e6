"""What was reproduced: of each table the averages that are printed and those made.

Read from the tables' CSV, so that the page says what the tables say.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from mlrpl.reporting.results import read_csv
from mlrpl.reporting.specs import listed
from mlrpl.reporting.table_grid import Grid, Group, Head, Line, Text, signed
from mlrpl.reporting.table_model import DIFFERENCE, RUN

TITLE = "Printed and made"
NEEDED = {"dataset", "dataset_title", "source", "method", "title", "seeds"}
COLUMNS = ("Printed", "This run", "Difference")


@dataclass(frozen=True)
class Number:
    """One average of this run, and its difference to the printed one, if any."""

    method: str
    name: str
    dataset: str
    made: float
    difference: float | None
    seeds: str

    def texts(self) -> list[str]:
        """Return what is printed, made, and between them, in the order of `COLUMNS`."""
        made = f"{self.made:.1f}"
        if self.difference is None:
            return ["", made, ""]
        printed = f"{self.made - self.difference:.1f}"
        return [printed, made, signed(self.difference, 1)]


def build(tables: Sequence[tuple[str, str | Path]]) -> Grid:
    """Return a table with a group for each table and columns for each data set.

    An average is over the proportions that the table averages over; where this run has
    not all of them, it is over those that the run has, which the line says.

    Args:
        tables: what each is called, and its CSV; one that is no table of results,
            with rows of methods out of `source`, is left out.

    Raises:
        UserError: a file that cannot be read.
    """
    frames = {name: read_csv(path) for name, path in tables}
    found = {
        name: list(_numbers(frame))
        for name, frame in frames.items()
        if set(frame) >= NEEDED
    }
    everything = [number for numbers in found.values() for number in numbers]
    datasets = list(dict.fromkeys(number.dataset for number in everything))
    compared = {n.dataset for n in everything if n.difference is not None}
    heads = [Head("Method"), Head("Number")]
    for dataset in datasets:
        shown = COLUMNS if dataset in compared else COLUMNS[1:2]
        heads += [Head(text, number=True, over=dataset) for text in shown]
    heads.append(Head("Seeds", number=True))
    groups = []
    for name, numbers in found.items():
        rows: dict[tuple[str, str], dict[str, Number]] = {}
        for number in numbers:
            rows.setdefault((number.method, number.name), {})[number.dataset] = number
        lines = [_line(key, row, datasets, compared) for key, row in rows.items()]
        if lines:
            groups.append(Group(name, lines, [name]))
    notes = ["Percent, after the last epoch."]
    if compared:
        notes.append("Differences are this run minus the paper's number.")
    if len(compared) < len(datasets) or not datasets:
        notes.append("A printed number stands only beside a run on the same data.")
    return Grid(TITLE, heads, groups, notes, ["Table"])


def _line(
    key: tuple[str, str],
    row: dict[str, Number],
    datasets: Sequence[str],
    compared: set[str],
) -> Line:
    texts = list(key)
    for dataset in datasets:
        cells = row[dataset].texts() if dataset in row else [""] * len(COLUMNS)
        texts += cells if dataset in compared else cells[1:2]
    seeds = dict.fromkeys(number.seeds for number in row.values())
    return Line([Text(text) for text in [*texts, ", ".join(seeds)]], RUN)


def _numbers(frame: pd.DataFrame) -> Iterator[Number]:
    """Yield the averages of a table's rows of this run, one a metric."""
    keys = [key for key in frame if f"{key}_sd" in frame and not key.endswith("_best")]
    differences = frame[frame["source"] == DIFFERENCE]
    same = ["dataset", "method", *(["metric"] if "metric" in frame else [])]
    for _, row in frame[frame["source"] == RUN].iterrows():
        found = differences[(differences[same] == row[same]).all(axis=1)]
        between = found.iloc[0] if len(found) else None
        for name, columns in _averages(row, between, keys):
            yield Number(
                *(row["title"], name, row["dataset_title"]),
                made=float(row[columns].astype(float).mean()),
                difference=_mean(between, columns),
                seeds="" if pd.isna(row["seeds"]) else str(row["seeds"]),
            )


def _averages(
    row: pd.Series, between: pd.Series | None, keys: list[str]
) -> Iterator[tuple[str, list[str]]]:
    """Yield what each average of a row is called, and the columns that it is over."""
    proportions = [key for key in keys if _is_number(key)]
    if not proportions:
        yield from ((f"Avg. {key}", [key]) for key in keys if pd.notna(row[key]))
        return
    metric = row.get("metric", "mAP")
    # A table that averages over nothing, as that of localisation, has no such column.
    if pd.notna(row.get("average")):
        yield f"Avg. {metric}", ["average"]
        return
    usable = [key for key in proportions if pd.notna(row[key])]
    if between is not None:
        usable = [key for key in usable if pd.notna(between[key])]
    if usable:
        yield f"{metric} at {listed(usable)}", usable


def _mean(row: pd.Series | None, columns: list[str]) -> float | None:
    if row is None or row[columns].isna().any():
        return None
    return float(row[columns].astype(float).mean())


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
