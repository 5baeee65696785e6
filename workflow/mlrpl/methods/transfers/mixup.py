"""PU-MLC's mixing of images (Yuan et al., 2023), on their cached features.

`mixup` of TAKELAMAG/PU-MLC, which mixes the pixels of pictures and encodes the mixture.
The encoder is frozen here and has seen whole pictures alone, so that what it would make
of a mixture is not known: the cached features themselves are mixed, those of a map at
the same locations. What the code says and the paper does not: the halves of a batch are
mixed with each other, with one share for all; a gradient flows through the targets too;
known negatives count as unlabelled, as in its loss.
"""

import torch
from torch import Tensor

from mlrpl.methods.base import Step, Transfer
from mlrpl.methods.inputs import Inputs

# The public code's, in each logarithm.
EPS = 1e-10


class Mixup(Transfer):
    """The labels' loss, and how far a mixture's scores are from the mixed targets.

    A target is 1 for a known positive and otherwise the probability that the model
    gives. What is added is the squared difference of logarithms, summed over the
    classes: a mean over half of the batch, of which an odd image is left out.
    """

    needs_class_features = False

    def __init__(self, inputs: Inputs, *, mixup_alpha: float, mixup_weight: float):
        """Take the parameters.

        Args:
            inputs: not used.
            mixup_alpha: both parameters of the share's beta distribution.
            mixup_weight: of what is added.
        """
        super().__init__()
        self.alpha, self.weight = mixup_alpha, mixup_weight

    def forward(self, step: Step) -> Tensor:
        """Return the loss of a step, a scalar."""
        loss = step.loss(step.scores, step.batch.labels)
        half = len(step.batch.labels) // 2
        if not half:  # nothing to mix an image with
            return loss
        device = step.scores.p.device
        share, order = self.draw_share(device), self.draw_order(half, device)

        def mixed(values: Tensor) -> Tensor:
            first = values[:half].index_select(0, order)
            return share * first + (1 - share) * values[-half:]

        targets = torch.where(step.batch.labels > 0, 1, step.scores.p)
        found = step.score(mixed(step.batch.features)).p
        gap = torch.log(mixed(targets) + EPS) - torch.log(found + EPS)
        return loss + self.weight * gap.square().sum() / half

    def draw_share(self, device: torch.device) -> Tensor:
        """Return how much of a mixture is of the first half, a scalar from 0 to 1."""
        if device.type == "meta":  # shapes alone (`methods.counting`)
            return torch.empty((), device=device)
        alpha = torch.full((), self.alpha, device=device)
        # Without the checks, for which the host would wait for a GPU.
        return torch.distributions.Beta(alpha, alpha, validate_args=False).sample()

    def draw_order(self, half: int, device: torch.device) -> Tensor:
        """Return the order of the first half's images, [half]."""
        return torch.rand(half, device=device).argsort()
