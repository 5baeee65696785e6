"""How often classes occur together, counted over the labels that a training knows."""

import torch
from torch import Tensor


def counts(known: Tensor) -> Tensor:
    """Return how many images are known to show both of two classes, [C, C].

    On the diagonal are the known positives of each class.

    Args:
        known: partial labels [N, C], 1, -1 and 0 for unknown.
    """
    positive = (known > 0).float()
    return positive.T @ positive


def conditional(known: Tensor, unseen: str = "alone") -> Tensor:
    """Return P(j is present | i is present) as row i, [C, C]; the diagonal is 1.

    `get_graph_file` of HCP-MLR-PL, which divides by zero for a class without a known
    positive.

    Args:
        known: partial labels [N, C].
        unseen: what the row of such a class is: "alone", 0 but for the diagonal, or
            "nan".
    """
    both = counts(known)
    of_one = both.diagonal()[:, None]
    if unseen == "nan":
        return both / of_one
    own = torch.eye(len(both), device=known.device)
    return torch.where(of_one > 0, both / of_one.clamp(min=1), own)
