"""Training images that are held out, to choose options on."""

import numpy as np

from mlrpl.errors import UserError

# So that the draw is no other one of the same seed.
STREAM = 20


def held_out(images: int, share: float, seed: int) -> np.ndarray:
    """Return the rows of the training images that are held out, in ascending order.

    Drawn from the seed alone: the same for all methods and proportions.

    Args:
        images: N.
        share: of them, from 0 on.
        seed: of the run.
    """
    order = np.random.default_rng([seed, STREAM]).permutation(images)
    return np.sort(order[: round(share * images)])


def divided(
    known: np.ndarray, share: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows to train on and those held out.

    Args:
        known: partial labels [N, C].
        share: see `held_out`.
        seed: see `held_out`.

    Raises:
        UserError: when nothing is left to train on, or nothing can be measured on what
            is held out.
    """
    out = held_out(len(known), share, seed)
    kept = np.setdiff1d(np.arange(len(known)), out)
    if not len(kept):
        raise UserError(
            f"options: validation: {share}: leaves none of {len(known)} images to "
            "train on; lower it"
        )
    if share and not (known[out] > 0).any():
        raise UserError(
            f"options: validation: {share}: no known positive is among the {len(out)} "
            "images that it holds out; raise it, or set it to 0"
        )
    return kept, out
