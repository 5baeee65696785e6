"""Which test images a figure shows: by a rule that is stated, or by their names."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from mlrpl.data.index import Index
from mlrpl.errors import UserError

# So that the draw is no other one of the same seed.
STREAM = 31


@dataclass(frozen=True)
class Choice:
    """The rule of a figure.

    Attributes:
        count: how many images.
        labels: least number of positive labels of an image that is drawn.
        seed: of the draw.
        names: by data set, images to show in place of drawn ones.
    """

    count: int = 4
    labels: int = 3
    seed: int = 0
    names: Mapping[str, Sequence[str]] = field(default_factory=dict)


def drawn(index: Index, choice: Choice) -> list[int]:
    """Return the rows of the images to show.

    Those that are named; else images drawn from all that have enough positive labels.
    Where these are too few, those with the most labels come after them.

    Raises:
        UserError: a name that no image has, or that several have.
    """
    if index.dataset in choice.names:
        return [_named(index, name) for name in choice.names[index.dataset]]
    order = np.random.default_rng([choice.seed, STREAM]).permutation(len(index.images))
    positives = (index.labels > 0).sum(axis=1)[order].clip(max=choice.labels)
    return order[np.argsort(-positives, kind="stable")][: choice.count].tolist()


def _named(index: Index, name: str) -> int:
    """Return the row of an image by its name in the index, or by the end of that."""
    if name in index.images:
        return index.images.index(name)
    ends = ("/" + path for path in index.images)
    found = [row for row, path in enumerate(ends) if path.endswith(f"/{name}")]
    if len(found) != 1:
        raise UserError(
            f"pictures: names: {index.dataset}: {name} is the name of {len(found)} "
            f"test images; write it as the data set does, such as {index.images[0]}"
        )
    return found[0]


def confident_errors(
    ranking: np.ndarray, labels: np.ndarray, count: int, threshold: float
) -> list[tuple[int, int]]:
    """Return the image and class of the errors that a method is surest of.

    The first half of them are absent classes with the highest scores, the others
    present ones with the lowest. Each image is taken once, and each class once in each
    half, so that one hard class does not fill the figure.

    Args:
        ranking: scores [N, C].
        labels: [N, C], 1 present, -1 absent, 0 unknown.
        count: how many at most.
        threshold: score from which on a class counts as present.
    """
    wrong = np.where((labels < 0) & (ranking >= threshold), ranking, -np.inf)
    missed = np.where((labels > 0) & (ranking < threshold), -ranking, -np.inf)
    half = (count + 1) // 2
    first = _best(wrong, half)
    missed[[row for row, _ in first]] = -np.inf
    return first + _best(missed, count - half)


def _best(sure: np.ndarray, count: int) -> list[tuple[int, int]]:
    sure = sure.astype(np.float64)
    found: list[tuple[int, int]] = []
    while len(found) < count:
        row, c = np.unravel_index(sure.argmax(), sure.shape)
        if sure[row, c] == -np.inf:
            break
        found.append((int(row), int(c)))
        sure[row], sure[:, c] = -np.inf, -np.inf
    return found
