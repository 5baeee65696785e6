"""When a difference may be called one: exact tests over seeds, and many at once."""

import itertools
import math
from collections.abc import Sequence

import numpy as np

# All assignments of signs are counted up to so many seeds, and drawn above.
MOST_EXACT = 16
DRAWN = 99_999
STREAM = 34


def sign_flip(differences: np.ndarray) -> float:
    """Return the two-sided p of the mean of paired differences, by flipping signs.

    Exact: under no difference each seed's could as well have had the other sign. It
    cannot be below 2 / 2^S, which is 0.25 for three seeds and 0.03 for six.

    Args:
        differences: [S].
    """
    count = len(differences)
    # A sum that is equal but for rounding counts as reached.
    observed = abs(differences.sum()) - 1e-12 * np.abs(differences).sum()
    if count <= MOST_EXACT:
        signs = np.array(list(itertools.product((1, -1), repeat=count)))
        return float(np.mean(np.abs(signs @ differences) >= observed))
    random = np.random.default_rng([STREAM, count])
    signs = random.choice(np.array([1, -1], dtype=np.int8), size=(DRAWN, count))
    reached = np.sum(np.abs(signs @ differences) >= observed)
    return float((reached + 1) / (DRAWN + 1))


def least_sign_flip(seeds: int) -> float:
    """Return the smallest p that `sign_flip` can give."""
    return 2 / 2**seeds if seeds <= MOST_EXACT else 1 / (DRAWN + 1)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p values that are adjusted for being several (Holm 1979).

    Those that are nan are no comparisons and stay so.
    """
    order = sorted(
        (i for i, p in enumerate(p_values) if not math.isnan(p)),
        key=lambda i: p_values[i],
    )
    adjusted = [math.nan] * len(p_values)
    reached = 0.0
    for rank, i in enumerate(order):
        reached = max(reached, min(1.0, (len(order) - rank) * p_values[i]))
        adjusted[i] = reached
    return adjusted
