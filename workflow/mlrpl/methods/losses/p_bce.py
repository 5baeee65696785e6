"""Partial binary cross-entropy, the loss that Fig. 7 compares with."""

import torch
from torch import Tensor

from mlrpl.methods.base import Loss
from mlrpl.methods.inputs import Inputs
from mlrpl.methods.losses.soft_targets import mixed
from mlrpl.methods.scores import Scores

# Durand et al. (CVPR 2019), Eq. 2: g(p) = alpha p^gamma + beta with g(1) = 1,
# g(0.1) = 5 and gamma = 1. These two values give alpha = -40/9 and beta = 49/9; the
# paper prints them rounded, -4.45 and 5.45.
ALPHA, BETA = -4.45, 5.45


class PartialBCE(Loss):
    """Binary cross-entropy over the known labels.

    Without a weight, the mean over the known labels of the batch, which is what the
    lab's code calls partial BCE. With Durand's weight, for each image g(p) / C times
    the sum over its known labels, p the share that is known; then the mean over images.
    """

    def __init__(self, inputs: Inputs | None = None, *, p_bce_weight: str = "none"):
        """Choose the weight, "none" or "durand"."""
        super().__init__()
        self.weight = p_bce_weight

    def forward(self, scores: Scores, labels: Tensor) -> Tensor:
        """Return the loss of a batch, a scalar; zero without a known label."""
        known = labels != 0
        positive, negative = -scores.log_p, -scores.log_not_p
        if labels.is_floating_point():
            loss = mixed(positive, negative, labels)
        else:
            loss = torch.where(labels > 0, positive, negative)
        loss = loss.masked_fill(~known, 0)
        if self.weight == "none":
            return loss.sum() / known.sum().clamp(min=1)
        share = known.float().mean(dim=1)
        return ((ALPHA * share + BETA) * loss.mean(dim=1)).mean()
