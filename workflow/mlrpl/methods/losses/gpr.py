"""GPR: a robust loss of unknown labels (Tran et al., ICCV 2025).

`GPR_loss` of Fsoft-AIC/AEVLP without its pseudo labels, for which CLIP has to see each
image in sixteen pieces. That code's data have no known negatives; here one costs
-log(1 - p).
"""

from collections.abc import Hashable
from typing import Self

import torch
from torch import Tensor

from mlrpl.config.options import Options
from mlrpl.methods.base import Loss, TrainingImages
from mlrpl.methods.inputs import Inputs
from mlrpl.methods.losses.by_label import by_label, minus_logs
from mlrpl.methods.losses.expected_positives import ExpectedPositives
from mlrpl.methods.scores import Scores

EPS = 1e-7
# The two exponents, and from where to where the shapes go in a training: w and b of K,
# mu and sigma of V. `coco.json` of the public code.
Q_PRESENT, Q_ABSENT = 0.01, 1.0
START, END = (0.0, -2.0, 0.5, 2.0), (10.0, -8.0, 0.8, 0.5)


class GeneralizedRobustLoss(Loss):
    """Mean over all B * C, and the expected number of positives.

    An unknown label costs V (K (1 - p^q2) / q2 + (1 - K) (1 - (1 - p)^q3) / q3): by
    K = sigmoid(w p + b) it is taken for a positive, by the bell
    V = exp(-((p - mu) / sigma)^2 / 2) it counts. Both are constants in the gradient;
    their shapes change from epoch to epoch.

    Attributes:
        shapes: w, b, mu and sigma in this epoch.
    """

    shapes: Tensor

    def __init__(
        self,
        inputs: Inputs,
        epochs: int,
        *,
        expected_positives: float | str,
        expected_weight: float,
    ):
        """Take the parameters.

        Args:
            inputs: the partial labels [N, C].
            epochs: of the training.
            expected_positives: see `ExpectedPositives`.
            expected_weight: of its penalty.
        """
        super().__init__()
        self.epochs, self.weight = max(epochs, 1), expected_weight
        self.expected = ExpectedPositives(inputs, expected_positives)
        # Set by `start_epoch`, so it is not kept.
        self.register_buffer("shapes", torch.tensor(START), persistent=False)

    @classmethod
    def from_options(cls, options: Options, inputs: Inputs) -> Self:
        """Build the loss; the epochs say how fast its shapes change."""
        return cls(inputs, options.epochs, **options.part(cls.kind))

    def start_epoch(self, epoch: int, training: TrainingImages) -> Hashable:
        """Set the shapes of an epoch, the first being 1."""
        self.expected.check()
        # K's begin at their start, V's reach their end.
        gone = [(epoch - 1) / self.epochs] * 2 + [epoch / self.epochs] * 2
        values = [
            start + (end - start) * part
            for start, end, part in zip(START, END, gone, strict=True)
        ]
        self.shapes.copy_(torch.tensor(values))
        return None

    def forward(self, scores: Scores, labels: Tensor) -> Tensor:
        """Return the loss of a batch, a scalar."""
        positive, negative = minus_logs(scores, EPS)
        loss = by_label(labels, positive, negative, self.unknown(scores))
        return loss.mean() + self.weight * self.expected.penalty(scores.p)

    def unknown(self, scores: Scores) -> Tensor:
        """Return what unknown labels cost, [B, C]."""
        w, b, mu, sigma = self.shapes
        p = scores.p.detach()
        present = torch.sigmoid(w * p + b)
        counted = torch.exp(-(((p - mu) / sigma) ** 2) / 2)
        # As powers of e, since the slope of p^q2 is infinite at 0.
        as_present = -torch.expm1(Q_PRESENT * scores.log_p) / Q_PRESENT
        as_absent = -torch.expm1(Q_ABSENT * scores.log_not_p) / Q_ABSENT
        return counted * (present * as_present + (1 - present) * as_absent)
