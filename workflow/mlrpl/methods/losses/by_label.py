"""What a label costs, known or unknown: the losses that differ only in these costs."""

import torch
from torch import Tensor

from mlrpl.methods.losses.soft_targets import mixed
from mlrpl.methods.scores import Scores

# Of the single-positive code (`losses.py` of elijahcole/single-positive-multi-label).
EPS = 1e-5


def by_label(
    labels: Tensor, positive: Tensor, negative: Tensor, unknown: Tensor
) -> Tensor:
    """Return the cost [B, C] of each label.

    Args:
        labels: as of `Loss.forward`, [B, C]; a target between -1 and 1 costs something
            between a positive and a negative (`soft_targets.mixed`).
        positive: what a known positive costs, [B, C].
        negative: what a known negative costs, [B, C].
        unknown: what an unknown label costs, [B, C].
    """
    if labels.is_floating_point():
        known = mixed(positive, negative, labels)
    else:
        known = torch.where(labels > 0, positive, negative)
    return torch.where(labels == 0, unknown, known)


def minus_logs(scores: Scores, eps: float = EPS) -> tuple[Tensor, Tensor]:
    """Return -log(p + eps) and -log(1 - p + eps), [B, C] each."""
    return -torch.log(scores.p + eps), -torch.log(scores.not_p + eps)
