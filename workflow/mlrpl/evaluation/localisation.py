"""How well attention finds the objects of a class: the pointing game, and shares.

The picture was resized whole to the encoder's square, so that a cell of the map's grid
is a rectangle of the picture, and boxes as shares of its sides need no more scaling.
Asked are the positive labels whose class has a box in the image; of each class there
all boxes count, of crowds and of difficult objects too: they show the class. Boxes are
taken together, their union, so that what two of them cover counts once.

- `pointing`: the share of these labels whose attention has its peak in a cell that a
  box overlaps. So the tolerance is the grid's own resolution: where in the cell the
  object is, a map cannot say. (Zhang et al., IJCV 2018, allow 15 pixels.)
- `centre`: the same without tolerance: the middle of the cell lies in a box.
- `inside`: the share of the attention that lies inside the boxes, a cell's spread
  evenly over the cell; mean over these labels.

By chance means the expected value of a peak in a cell drawn at random, or of attention
that is the same everywhere: for `inside` that is the share of the picture that the
boxes cover.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

MEASURES = ("pointing", "centre", "inside")


@dataclass(frozen=True)
class Cells:
    """What the boxes of one class in one image are to a grid.

    Attributes:
        covered: [rows, columns], the share of each cell that the boxes cover.
        centre: bool [rows, columns], whether the middle of the cell lies in a box.
    """

    covered: np.ndarray
    centre: np.ndarray


def cells(boxes: np.ndarray, grid: tuple[int, int]) -> Cells:
    """Return what boxes are to a grid, exactly.

    The edges of boxes and cells cut the picture into rectangles, each of which is
    inside or outside of the union as a whole.

    Args:
        boxes: [m, 4]: left, top, right, bottom, 0 to 1.
        grid: rows and columns.
    """
    rows, columns = grid
    x = np.unique(np.concatenate([boxes[:, [0, 2]].ravel(), _edges(columns)]))
    y = np.unique(np.concatenate([boxes[:, [1, 3]].ravel(), _edges(rows)]))
    middle_x, middle_y = (x[1:] + x[:-1]) / 2, (y[1:] + y[:-1]) / 2
    area = np.diff(y)[:, None] * np.diff(x) * _within(boxes, middle_x, middle_y)
    covered = np.zeros(grid)
    row = np.minimum((middle_y * rows).astype(int), rows - 1)
    column = np.minimum((middle_x * columns).astype(int), columns - 1)
    np.add.at(covered, (row[:, None], column), area * rows * columns)
    centres = ((np.arange(n) + 0.5) / n for n in (columns, rows))
    return Cells(covered.clip(0, 1), _within(boxes, *centres))


def _edges(number: int) -> np.ndarray:
    return np.arange(number + 1) / number


def _within(boxes: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return which points of the columns x and rows y lie in a box, bool [y, x]."""
    left, top, right, bottom = boxes.T[:, :, None]
    across, down = (left <= x) & (x <= right), (top <= y) & (y <= bottom)
    return (down[:, :, None] & across[:, None, :]).any(axis=0)


def measured(attention: np.ndarray, found: Cells) -> dict[str, float]:
    """Return the three measures of one label.

    Args:
        attention: [rows, columns], not negative. Of several peaks the first counts, row
            by row.
        found: the class's boxes.
    """
    peak = np.unravel_index(np.argmax(attention), attention.shape)
    total = float(attention.sum())
    inside = float((attention * found.covered).sum()) / total if total > 0 else 0.0
    return {
        "pointing": float(found.covered[peak] > 0),
        "centre": float(found.centre[peak]),
        "inside": inside,
    }


def by_chance(found: Cells) -> dict[str, float]:
    """Return what the three measures of one label are by chance."""
    return {
        "pointing": float((found.covered > 0).mean()),
        "centre": float(found.centre.mean()),
        "inside": float(found.covered.mean()),
    }


def percentages(labels: Iterable[dict[str, float]]) -> dict[str, float | None]:
    """Return each measure's mean over labels, in percent; None without a label."""
    rows = list(labels)
    return {
        name: 100 * float(np.mean([row[name] for row in rows])) if rows else None
        for name in MEASURES
    }
