"""What a table holds before it is written: rows of cells, and columns to show them."""

from dataclasses import dataclass, field

import numpy as np

# Where a row is from: printed in the paper, this run, or this run minus the paper.
PAPER, RUN, DIFFERENCE = "paper", "this run", "difference"
# A line below a row of this run, with the intervals of its cells.
INTERVAL = "interval"


@dataclass(frozen=True)
class Cell:
    """A mean, its standard deviation and its interval; nan: there is none.

    `kind` is that of the interval (`statistics.intervals`), empty without one.
    """

    mean: float
    std: float = np.nan
    low: float = np.nan
    high: float = np.nan
    kind: str = ""


@dataclass(frozen=True)
class Column:
    """A column of numbers.

    Attributes:
        key: its name in the CSV.
        heading: what a reader sees.
        kind: what its numbers are: "percent", "points" (a difference of percentages),
            "parameters", "seconds" or "bytes".
        over: a heading that neighbours share, such as "Known labels".
    """

    key: str
    heading: str
    kind: str = "percent"
    over: str = ""


@dataclass(frozen=True)
class Row:
    """One method on one data set; `cells` by the key of the column."""

    dataset: str
    dataset_title: str
    source: str  # PAPER, RUN or DIFFERENCE
    reference: str  # where the paper prints it
    method: str
    title: str
    metric: str  # empty where columns are metrics
    epoch: str
    seeds: str
    cells: dict[str, Cell] = field(default_factory=dict)

    def cell(self, key: str) -> Cell:
        """Return the cell of a column; one without a number if there is none."""
        return self.cells.get(key, Cell(np.nan))


@dataclass(frozen=True)
class Table:
    """A table before it is written in some format."""

    title: str
    columns: list[Column]
    rows: list[Row]
    notes: list[str]
    decimals: int
    level: float | None = None  # of the intervals; None without any
