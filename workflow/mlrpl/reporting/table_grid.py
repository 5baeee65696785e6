"""A table as a reader sees it: text in cells, in groups of lines, under headings.

What Markdown, LaTeX and HTML are written from. Numbers are rounded here, and the best
of a column is bold: of the paper's rows and of this run's separately, for each data
set and metric.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from mlrpl.reporting.table_model import (
    DIFFERENCE,
    INTERVAL,
    PAPER,
    RUN,
    Column,
    Row,
    Table,
)

BOLD = "Bold: the best of a column among the rows of one source and data set."
PRINTED = "printed in the paper"


@dataclass(frozen=True)
class Text:
    """A cell: its text, what follows it after ±, and whether it is a best one."""

    text: str
    spread: str = ""
    bold: bool = False


@dataclass(frozen=True)
class Head:
    """A heading; `number`: its cells are aligned right; `over`: see `Column`."""

    text: str
    number: bool = False
    over: str = ""


@dataclass(frozen=True)
class Line:
    """A row; `kind` is PAPER, RUN, INTERVAL, DIFFERENCE, or empty without any."""

    cells: list[Text]
    kind: str = ""


@dataclass(frozen=True)
class Group:
    """Lines that belong together, below a title such as a data set and a source."""

    title: str
    lines: list[Line]
    parts: list[str] = field(default_factory=list)  # of the title, as columns


@dataclass(frozen=True)
class Grid:
    """A whole table.

    Attributes:
        title: its caption.
        heads: one for each cell of a line.
        groups: the body.
        notes: sentences that stand below.
        labels: headings of the parts of the groups' titles, where these are columns.
    """

    title: str
    heads: list[Head]
    groups: list[Group]
    notes: Sequence[str] = ()
    labels: Sequence[str] = ()


def to_grid(table: Table) -> Grid:
    """Return a table of results as a reader sees it."""
    shows_metric = len({row.metric for row in table.rows}) > 1
    shows_seeds, sources = _seeds(table.rows)
    heads = [Head("Method")]
    heads += [Head("Metric")] if shows_metric else []
    heads += [Head("Seeds", number=True)] if shows_seeds else []
    heads += [Head(c.heading, number=True, over=c.over) for c in table.columns]
    bold = best_cells(table)
    groups: list[Group] = []
    for i, row in enumerate(table.rows):
        texts = [Text(row.title if row.source != DIFFERENCE else "run − paper")]
        texts += [Text(row.metric)] if shows_metric else []
        texts += [Text(row.seeds)] if shows_seeds else []
        for column in table.columns:
            mean, std = printed(row, column, table.decimals)
            texts.append(Text(mean, std, (i, column.key) in bold))
        parts = [row.dataset_title, sources[row.source]]
        if not groups or groups[-1].parts != parts:
            groups.append(Group(": ".join(parts), [], parts))
        groups[-1].lines.append(Line(texts, row.source))
        ends = [interval(row, column, table.decimals) for column in table.columns]
        if table.level is not None and any(ends):
            label = Text(f"{100 * table.level:g} % interval")
            blank = [Text("")] * (len(heads) - len(ends) - 1)
            line = [label, *blank, *map(Text, ends)]
            groups[-1].lines.append(Line(line, INTERVAL))
    notes = [*table.notes, *([BOLD] if bold else [])]
    return Grid(table.title, heads, groups, notes, ["Data set", "Source"])


def _seeds(rows: list[Row]) -> tuple[bool, dict[str, str]]:
    """Return whether seeds need a column, and what each source is called.

    Where every row of this run is of as many seeds, its source says how many.
    """
    counts = {row.seeds for row in rows if row.source == RUN}
    ours = RUN
    if len(counts) == 1 and (count := counts.pop()):
        ours = f"{RUN}, {count} seed{'' if count == '1' else 's'}"
        counts = set()
    return bool(counts - {""}), {PAPER: PRINTED, RUN: ours, DIFFERENCE: ours}


def printed(row: Row, column: Column, decimals: int) -> tuple[str, str]:
    """Return a cell's mean and standard deviation as text, empty where absent."""
    cell = row.cell(column.key)
    if math.isnan(cell.mean):
        return "", ""
    if column.kind == "parameters":
        return f"{cell.mean / 1e6:.3g} M", ""
    if column.kind == "seconds":
        return f"{cell.mean:.0f} s", ""
    if column.kind == "bytes":
        return f"{cell.mean / 1e9:.2f} GB", ""
    if row.source == DIFFERENCE or column.kind == "points":
        return signed(cell.mean, decimals), ""
    std = "" if math.isnan(cell.std) else f"{cell.std:.{decimals}f}"
    return f"{cell.mean:.{decimals}f}", std


def interval(row: Row, column: Column, decimals: int) -> str:
    """Return the interval of a cell as text, empty without one."""
    cell = row.cell(column.key)
    if math.isnan(cell.low):
        return ""
    return f"{cell.low:.{decimals}f}–{cell.high:.{decimals}f}"


def signed(value: float, decimals: int) -> str:
    """Return a difference with its sign; one that rounds to zero has none."""
    text = f"{value:+.{decimals}f}"
    if not float(text):
        return text[1:]
    return text.replace("-", "−")


def best_cells(table: Table) -> set[tuple[int, str]]:
    """Return (row number, column key) of the best percentages, as printed.

    Rows compete within their data set's title, source and metric; where only one row
    has a value there is no best.
    """
    groups: dict[tuple, list[tuple[float, int]]] = {}
    for i, row in enumerate(table.rows):
        for column in table.columns:
            mean, _ = printed(row, column, table.decimals)
            if column.kind == "percent" and mean and row.source != DIFFERENCE:
                key = (row.dataset_title, row.source, row.metric, column.key)
                groups.setdefault(key, []).append((float(mean), i))
    return {
        (i, key[-1])
        for key, values in groups.items()
        if len(values) > 1
        for value, i in values
        if value == max(values)[0]
    }
