"""What a figure shows before it is drawn: panels of lines and printed numbers."""

from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Printed:
    """Numbers of a paper: one method's out of one table or text, by position."""

    label: str
    points: list[tuple[float, float]]


@dataclass(frozen=True)
class Series:
    """One line: `x` positions, `mean` (nan: not run) and `std` (nan: one seed).

    `low` and `high` are the ends of a band around it; None without one.
    """

    label: str
    x: np.ndarray
    mean: np.ndarray
    std: np.ndarray
    printed: list[Printed] = field(default_factory=list)
    low: np.ndarray | None = None
    high: np.ndarray | None = None


@dataclass(frozen=True)
class Panel:
    """One pair of axes: ticks are (position, text), `note` stands under the title."""

    title: str
    note: str
    x_label: str
    y_label: str
    ticks: list[tuple[float, str]]
    series: list[Series]
    over_proportions: bool
    names: bool  # positions are names without an order: points are not joined
    default: float | None = None  # position of what a method has by itself
    seeds: int = 1  # of how many a point is the mean, at most
