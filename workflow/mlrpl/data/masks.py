"""Label dropping: the partial labels of one proportion and seed."""

import numpy as np

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
    if not 0 < prop <= 1:
        raise UserError(
            f"prop: {prop} is out of range; give a proportion above 0 and at most 1"
        )
    if not 0 <= seed < 2**32:
        raise UserError(f"seed: {seed} is out of range; give 0 to {2**32 - 1}")
    known = np.random.RandomState(seed).random_sample(labels.shape) < prop
    return (labels * known).astype(np.int8)
