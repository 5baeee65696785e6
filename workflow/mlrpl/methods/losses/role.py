"""ROLE: classifier and labels are estimated together (Cole et al., CVPR 2021).

Each training image has a row of logits, the estimates of its labels, which are trained
beside the classifier. `losses.py` and `LabelEstimator` of
elijahcole/single-positive-multi-label.
"""

import math
from collections.abc import Hashable

import torch
from torch import Tensor, nn

from mlrpl.methods.base import Batch, Group, Loss, TrainingImages
from mlrpl.methods.inputs import Inputs
from mlrpl.methods.losses.by_label import EPS, by_label, minus_logs
from mlrpl.methods.losses.expected_positives import ExpectedPositives
from mlrpl.methods.scores import Scores, sigmoid

# Where estimates start: the probability of known positives, the bound of unknown ones.
CERTAIN, UNSURE = 0.995, 0.6


class RegularizedOnlineLabelEstimation(Loss):
    """Half the sum of two EPR losses, of scores and estimates, and their agreement.

    Scores p and estimates q are held to the known labels and to the expected number of
    positives each, and to one another by a cross-entropy in both directions. In the
    public code a known negative shows only in the start of its estimate; here it has a
    cost as a known positive does, -log(1 - p) and -log(1 - q).

    A step moves the estimates of its images alone, so that SGD at the rate of a
    classifier leaves them where they start: take Adam, as the public code, without
    weight decay.
    """

    needs_batch = True

    def __init__(
        self, inputs: Inputs, *, expected_positives: float | str, lr_estimates: float
    ):
        """Draw the estimates of unknown labels, from 0.4 to 0.6 in probability.

        Args:
            inputs: the partial labels [N, C].
            expected_positives: see `ExpectedPositives`.
            lr_estimates: rate of the estimates as a multiple of the setting's.
        """
        super().__init__()
        self.expected = ExpectedPositives(inputs, expected_positives)
        self.estimates = nn.Parameter(start(inputs.known))
        self.lr_estimates = lr_estimates

    def start_epoch(self, epoch: int, training: TrainingImages) -> Hashable:
        """Check that the number of positives is known."""
        self.expected.check()
        return None

    def groups(self) -> list[Group]:
        """Return the estimates, which have a rate of their own."""
        return [Group([self.estimates], self.lr_estimates)]

    def forward(self, scores: Scores, labels: Tensor, batch: Batch) -> Tensor:
        """Return the loss of a batch, a scalar."""
        estimated = sigmoid(self.estimates[batch.images])
        loss = agreement(estimated.p.detach(), scores)
        loss = loss + agreement(scores.p.detach(), estimated)
        for found in (scores, estimated):
            positive, negative = minus_logs(found)
            known = by_label(labels, positive, negative, torch.zeros_like(positive))
            loss = loss + known.mean() + self.expected.penalty(found.p)
        return loss / 2


def agreement(target: Tensor, scores: Scores) -> Tensor:
    """Return the mean cross-entropy of targets [B, C] and scores."""
    positive, negative = minus_logs(scores, EPS)
    return (target * positive + (1 - target) * negative).mean()


def start(known: Tensor) -> Tensor:
    """Return logits [N, C] to start from: certain of known labels, drawn for others."""
    certain, unsure = (math.log(p / (1 - p)) for p in (CERTAIN, UNSURE))
    drawn = torch.rand(known.shape) * (2 * unsure) - unsure
    return torch.where(known == 0, drawn, certain * known)
