"""Which test images and which seeds a resample has.

The draws depend on nothing but numbers: the k-th resample of N test images is the same
in all runs, so that two runs are compared image by image, and the k-th resample of S
seeds is the same at each proportion and of each method.
"""

from collections.abc import Iterator

import numpy as np

from mlrpl.errors import UserError

# So that these draws are no other ones of the same numbers.
IMAGES, GROUPS, SEEDS = 31, 32, 33

RESAMPLES = 1000
FEWEST = 100  # of fewer hardly any lie beyond the ends of an interval of 95 %
# Parts that are left out one after the other, for the jackknife.
MOST_GROUPS = 200


def check(resamples: int) -> None:
    """Raise a UserError for a number of resamples that is too small for intervals."""
    if resamples < FEWEST:
        raise UserError(
            f"--resamples: {resamples} is not allowed; give at least {FEWEST}"
        )


def image_counts(images: int, resamples: int, groups: int) -> Iterator[np.ndarray]:
    """Yield how often each image counts, in blocks [rows, N], uint8.

    The first row has each image once. `resamples` rows follow with N draws with
    replacement, and `groups` rows that leave a part of the images out, each image in
    one of them.

    Args:
        images: N.
        resamples: R.
        groups: G, at most N.
    """
    yield np.ones((1, images), dtype=np.uint8)
    rows = max(1, 2**24 // images)
    random = np.random.default_rng([IMAGES, images])
    for start in range(0, resamples, rows):
        drawn = [
            np.bincount(random.integers(images, size=images), minlength=images)
            for _ in range(min(rows, resamples - start))
        ]
        yield np.minimum(drawn, 255).astype(np.uint8)
    order = np.random.default_rng([GROUPS, images]).permutation(images)
    part = np.empty(images, dtype=int)
    part[order] = np.arange(images) % max(groups, 1)
    for start in range(0, groups, rows):
        numbers = np.arange(start, min(start + rows, groups))
        yield (part != numbers[:, None]).astype(np.uint8)


def jackknife_groups(images: int) -> int:
    """Return into how many parts images are divided; one image each if they are few."""
    return min(images, MOST_GROUPS)


def seed_draws(seeds: int, resamples: int) -> np.ndarray:
    """Return draws with replacement of seeds, [R, S] of 0 to S - 1."""
    random = np.random.default_rng([SEEDS, seeds])
    return random.integers(seeds, size=(resamples, seeds))
