"""PU-MLC: positive and unlabelled learning for partial labels (Yuan et al., 2023).

The variational loss of a positive-unlabelled classifier, class by class, on scores that
are scaled by their spread in the batch. `vpuLoss` of TAKELAMAG/PU-MLC, without its
mixing of images.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from mlrpl.methods.base import Loss
from mlrpl.methods.inputs import Inputs
from mlrpl.methods.scores import Scores

EPS = 1e-10


class PositiveUnlabeled(Loss):
    """Sum over the classes of log E[p] E[p]^gamma, less the mean of log p of positives.

    The first mean is over all images of the batch, the second over those in which the
    class is known to be present; without any the second term is 0. The public code
    discards known negatives ("discarded"); "trained" adds the mean over them of
    -log(1 - p).
    """

    def __init__(
        self,
        inputs: Inputs | None = None,
        *,
        pu_spread: float,
        pu_gamma: float,
        pu_negatives: str,
    ):
        """Take the parameters.

        Args:
            inputs: not used.
            pu_spread: alpha; logits are divided by min(alpha * their standard deviation
                in the batch, 1).
            pu_gamma: gamma of the weight, which is a constant in the gradient.
            pu_negatives: what known negatives are, "discarded" or "trained".
        """
        super().__init__()
        self.spread, self.gamma = pu_spread, pu_gamma
        self.trained = pu_negatives == "trained"

    def forward(self, scores: Scores, labels: Tensor) -> Tensor:
        """Return the loss of a batch, a scalar; it may be negative."""
        logits = scores.logits / self.scale(scores.logits.detach())
        mean = torch.sigmoid(logits).mean(dim=0)
        loss = torch.log(mean + EPS) * mean.detach() ** self.gamma
        loss = loss - mean_where(F.logsigmoid(logits), labels > 0)
        if self.trained:
            loss = loss - mean_where(F.logsigmoid(-logits), labels < 0)
        return loss.sum()

    def scale(self, logits: Tensor) -> Tensor:
        """Return what the classes' logits [B, C] are divided by, [C].

        1 for a class whose logits are all alike, as those of one image are and of
        classifiers that start at zero.
        """
        if len(logits) == 1:
            return torch.ones_like(logits[0])
        spread = self.spread * logits.std(dim=0)
        return torch.where(spread > 0, spread.clamp(max=1), 1)


def mean_where(values: Tensor, chosen: Tensor) -> Tensor:
    """Return the mean over the rows that are chosen, [C] of [B, C]; 0 without any."""
    total = torch.where(chosen, values, 0).sum(dim=0)
    return total / chosen.sum(dim=0).clamp(min=1)
