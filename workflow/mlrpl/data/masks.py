"""Label dropping: the partial labels of one proportion and seed, by several schemes."""

from collections.abc import Callable

import numpy as np

from mlrpl.data.row_blocks import row_blocks
from mlrpl.errors import UserError


def drop_labels(labels: np.ndarray, prop: float, seed: int) -> np.ndarray:
    """Keep each label with probability `prop`; the others become unknown.

    One uniform number decides each entry, drawn in the order of rows and columns by
    numpy's legacy generator, so that seed 0 gives the masks that the field publishes
    (`changed = mask * labels` in HCPLab-SYSU/HCP-MLR-PL; the files of TaI-DPT), and
    so that the labels known at a proportion stay known at every larger one. Nothing
    guarantees an image or a class a known label.

    Args:
        labels: [N, C] in {-1 absent, 0 unknown, 1 present}; unknown stays unknown.
        prop: the proportion of labels to keep, above 0 and at most 1.
        seed: 0 to 2**32 - 1.

    Returns:
        int8 [N, C] in {-1, 0, 1}.

    Raises:
        UserError: `prop` or `seed` is out of range.
    """
    check_range(prop, seed)
    random = np.random.RandomState(seed)
    known = labels.astype(np.int8)
    for rows in row_blocks(known):
        known[rows] *= random.random_sample(known[rows].shape) < prop
    return known


def positives_only(labels: np.ndarray, prop: float, seed: int) -> np.ndarray:
    """Keep the positives that `drop_labels` keeps; no label is known to be absent.

    Args, returns and errors as of `drop_labels`.
    """
    known = drop_labels(labels, prop, seed)
    return np.maximum(known, 0, out=known)


def fixed_per_class(labels: np.ndarray, prop: float, seed: int) -> np.ndarray:
    """Keep of each class the same share of its positives, and of its negatives.

    The share is rounded, and at least one of each is kept, so that no class is left
    without a known positive. Which ones, an order drawn for each class says: what is
    known at a proportion stays known at every larger one.

    Args, returns and errors as of `drop_labels`.
    """
    check_range(prop, seed)
    order = np.random.RandomState(seed).random_sample(labels.shape)
    known = np.zeros(labels.shape, np.int8)
    for value in (1, -1):
        has = labels == value
        number = np.maximum(np.round(prop * has.sum(axis=0)), 1)
        rank = np.where(has, order, np.inf).argsort(axis=0).argsort(axis=0)
        known[has & (rank < number)] = value
    return known


# The seed with which the single-positive data sets are published.
SINGLE_POSITIVE_SEED = 1200


def single_positive(labels: np.ndarray, prop: float, seed: int) -> np.ndarray:
    """Keep one positive of each image, drawn alike, and nothing else.

    As `generate_observed_labels.py` of elijahcole/single-positive-multi-label, whose
    seed of 1200 is seed 0 here: image by image the positives are shuffled, of which the
    first is kept, and then the negatives, of which none is. An image without a positive
    knows nothing.

    Args:
        labels: [N, C] in {-1 absent, 0 unknown, 1 present}.
        prop: 1; the scheme has no proportion.
        seed: 0 to 2**32 - 1201.

    Returns:
        int8 [N, C] in {0, 1}.

    Raises:
        UserError: another `prop`, or `seed` is out of range.
    """
    if prop != 1:
        raise UserError(
            f"prop: {prop} means nothing to the masks single_positive, which keep one "
            "label an image; give 1"
        )
    check_range(prop, seed, SINGLE_POSITIVE_SEED)
    random = np.random.RandomState(SINGLE_POSITIVE_SEED + seed)
    known = np.zeros(labels.shape, np.int8)
    for row, kept in zip(labels, known, strict=True):
        for value in (1, -1):
            places = np.flatnonzero(row == value)
            random.shuffle(places)
            if value > 0:
                kept[places[:1]] = 1
    return known


def check_range(prop: float, seed: int, added: int = 0) -> None:
    """Refuse a proportion or a seed that is out of range.

    Args:
        prop: above 0 and at most 1.
        seed: from 0 on; a generator takes less than 2**32.
        added: to the seed.

    Raises:
        UserError: one line that names it.
    """
    if not 0 < prop <= 1:
        raise UserError(
            f"prop: {prop} is out of range; give a proportion above 0 and at most 1"
        )
    if not 0 <= seed < 2**32 - added:
        raise UserError(f"seed: {seed} is out of range; give 0 to {2**32 - 1 - added}")


Scheme = Callable[[np.ndarray, float, int], np.ndarray]

# By the name that a data set's `masks` has in the configuration.
SCHEMES: dict[str, Scheme] = {
    "uniform": drop_labels,
    "single_positive": single_positive,
    "fixed_per_class": fixed_per_class,
    "positives_only": positives_only,
}


def scheme(name: str) -> Scheme:
    """Return the scheme of a name.

    Raises:
        UserError: there is none.
    """
    if name not in SCHEMES:
        raise UserError(f"masks: {name} is not known; give one of {', '.join(SCHEMES)}")
    return SCHEMES[name]
