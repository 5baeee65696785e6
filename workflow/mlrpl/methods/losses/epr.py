"""EPR: known labels and the expected number of positives (Cole et al., CVPR 2021)."""

from collections.abc import Hashable

import torch
from torch import Tensor

from mlrpl.methods.base import Loss, TrainingImages
from mlrpl.methods.inputs import Inputs
from mlrpl.methods.losses.by_label import by_label, minus_logs
from mlrpl.methods.losses.expected_positives import ExpectedPositives
from mlrpl.methods.scores import Scores


class ExpectedPositiveRegularization(Loss):
    """Mean over all B * C of what the known labels cost, and the penalty.

    The public code has no known negatives; here one costs -log(1 - p). Unknown labels
    act through the penalty alone.
    """

    def __init__(self, inputs: Inputs, *, expected_positives: float | str):
        """Take the mean number of classes in an image, or "known" to count it."""
        super().__init__()
        self.expected = ExpectedPositives(inputs, expected_positives)

    def start_epoch(self, epoch: int, training: TrainingImages) -> Hashable:
        """Check that the number is known."""
        self.expected.check()
        return None

    def forward(self, scores: Scores, labels: Tensor) -> Tensor:
        """Return the loss of a batch, a scalar."""
        positive, negative = minus_logs(scores)
        known = by_label(labels, positive, negative, torch.zeros_like(positive))
        return known.mean() + self.expected.penalty(scores.p)
