"""What is refused of class vectors that were made elsewhere."""

from os import PathLike

import numpy as np

from mlrpl.errors import UserError


def check_finite(path: str | PathLike) -> None:
    """Check that a file of vectors holds finite numbers alone.

    A file that cannot be read is left to its reader.

    Raises:
        UserError: naming the first class, counted from 1, whose vector is not finite.
    """
    try:
        vectors = np.load(path)
        rows = np.flatnonzero(~np.isfinite(vectors).reshape(len(vectors), -1).all(1))
    except (OSError, ValueError, EOFError, TypeError):
        return
    if len(rows):
        raise UserError(
            f"{path}: the vector of class {rows[0] + 1} has a number that is not "
            "finite; remake it with `mlrpl glove`"
        )
