"""A label matrix a few rows at a time: nothing else of its size is made."""

from collections.abc import Iterator

import numpy as np

# Cells of a block: what is made of one, at 8 bytes a cell, stays below 100 MB.
CELLS = 10_000_000


def row_blocks(matrix: np.ndarray) -> Iterator[slice]:
    """Iterate over slices of a matrix [N, C] that cover its rows in order."""
    rows = max(1, CELLS // max(1, matrix.shape[1]))
    for start in range(0, len(matrix), rows):
        yield slice(start, start + rows)


def label_counts(labels: np.ndarray) -> dict[str, int]:
    """Count the `positive`, `negative` and `unknown` cells of a matrix [N, C]."""
    found = {"positive": 0, "negative": 0}
    for rows in row_blocks(labels):
        found["positive"] += int(np.count_nonzero(labels[rows] > 0))
        found["negative"] += int(np.count_nonzero(labels[rows] < 0))
    return {**found, "unknown": labels.size - sum(found.values())}
