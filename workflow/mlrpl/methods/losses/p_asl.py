"""Partial asymmetric loss (Eq. 10-11; Ridnik et al., ICCV 2021)."""

import torch
from torch import Tensor

from mlrpl.methods.base import Loss
from mlrpl.methods.inputs import Inputs
from mlrpl.methods.losses.soft_targets import mixed
from mlrpl.methods.scores import Scores


class PartialAsymmetricLoss(Loss):
    """Sum over the known labels, mean over the images (Eq. 11).

    A known positive costs -(1 - p)^gamma_pos log p, a known negative
    -q^gamma_neg log(1 - q) with q = max(p - margin, 0).
    """

    def __init__(
        self,
        inputs: Inputs | None = None,
        *,
        gamma_pos: float = 1,
        gamma_neg: float = 2,
        margin: float = 0.05,
        detach: bool = True,
    ):
        """Set Eq. 10's parameters.

        Args:
            inputs: not used.
            gamma_pos: gamma+.
            gamma_neg: gamma-.
            margin: m, the probability that a negative may have for free.
            detach: take the focal weights as constants in the gradient.
        """
        super().__init__()
        self.gamma_pos, self.gamma_neg = gamma_pos, gamma_neg
        self.margin, self.detach = margin, detach

    def forward(self, scores: Scores, labels: Tensor) -> Tensor:
        """Return the loss of a batch, a scalar; zero without a known label."""
        q = (scores.p - self.margin).clamp(min=0)
        if self.margin:
            log_not_q = torch.log((scores.log_not_p.exp() + self.margin).clamp(max=1))
        else:
            log_not_q = scores.log_not_p
        bases = scores.log_not_p.exp(), q
        if self.detach:
            bases = tuple(base.detach() for base in bases)
        else:  # bounds the slope of base ** gamma at 0 for gamma below 1
            bases = tuple(base.clamp(min=1e-8) for base in bases)
        positive = labels > 0
        focal = bases[0] ** self.gamma_pos, bases[1] ** self.gamma_neg
        if labels.is_floating_point():
            loss = mixed(scores.log_p * focal[0], log_not_q * focal[1], labels)
        else:
            loss = torch.where(positive, scores.log_p, log_not_q)
            loss = loss * torch.where(positive, *focal)
        return -loss.masked_fill(labels == 0, 0).sum() / len(labels)
