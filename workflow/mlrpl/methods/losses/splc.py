"""SPLC and Hill: losses that bear missing labels (Zhang et al., arXiv 2112.07368).

`losses.py` of xinyu1205/robust-loss-mlml, whose data have no known negatives: there an
absent label is one that nobody gave. Here only an unknown label is treated so; a known
negative costs -log(1 - p), and is never corrected.

Both are sums over the classes and means over the images, as P-ASL; the public code sums
over the images too.
"""

from collections.abc import Hashable

import torch
import torch.nn.functional as F
from torch import Tensor

from mlrpl.methods.base import Loss, TrainingImages
from mlrpl.methods.inputs import Inputs
from mlrpl.methods.losses.by_label import by_label
from mlrpl.methods.scores import Scores

# A known positive has to reach its probability with so much less of a logit.
SHIFT = 1.0


class SelfPacedLossCorrection(Loss):
    """SPLC: a focal loss with a margin; likely unknown labels become positives."""

    correcting: Tensor

    def __init__(
        self,
        inputs: Inputs | None = None,
        *,
        splc_threshold: float,
        splc_gamma: float,
        splc_epoch: int,
    ):
        """Take the parameters.

        Args:
            inputs: not used.
            splc_threshold: tau, the probability from which an unknown label is taken
                for a positive.
            splc_gamma: of the focal weight, through which a gradient flows.
            splc_epoch: epochs before labels are corrected.
        """
        super().__init__()
        self.threshold, self.gamma, self.epoch = splc_threshold, splc_gamma, splc_epoch
        started = torch.tensor(splc_epoch == 0)
        # Set by `start_epoch`, so it is not kept.
        self.register_buffer("correcting", started, persistent=False)

    def start_epoch(self, epoch: int, training: TrainingImages) -> Hashable:
        """Set whether labels are corrected in an epoch, the first being 1."""
        self.correcting.fill_(epoch > self.epoch)
        return None

    def begin(self) -> None:
        """Correct labels from now on."""
        self.correcting.fill_(True)

    def forward(self, scores: Scores, labels: Tensor) -> Tensor:
        """Return the loss of a batch, a scalar."""
        logits = scores.logits
        shifted = self.focal(logits - SHIFT)
        present, absent = self.focal(logits), self.focal(-logits)
        likely = self.correcting & (scores.p > self.threshold)
        unknown = torch.where(likely, present, absent)
        loss = by_label(labels, shifted, -scores.log_not_p, unknown)
        return loss.sum() / len(labels)

    def focal(self, logits: Tensor) -> Tensor:
        """Return -(1 - p)^gamma log p."""
        return -F.logsigmoid(logits) * torch.sigmoid(-logits) ** self.gamma


class Hill(Loss):
    """Hill: a semi-hard focal loss of positives, (1.5 - p) p^2 of unknown labels."""

    def __init__(
        self, inputs: Inputs | None = None, *, hill_lambda: float, hill_gamma: float
    ):
        """Take the parameters.

        Args:
            inputs: not used.
            hill_lambda: where the loss of an unknown label stops to rise,
                2 / 3 lambda; 1.5 stops at p = 1.
            hill_gamma: of the positives' focal weight.
        """
        super().__init__()
        self.bound, self.gamma = hill_lambda, hill_gamma

    def forward(self, scores: Scores, labels: Tensor) -> Tensor:
        """Return the loss of a batch, a scalar."""
        shifted = scores.logits - SHIFT
        weight = torch.sigmoid(-shifted) ** self.gamma
        positive = -F.logsigmoid(shifted) * weight
        unknown = (self.bound - scores.p) * scores.p**2
        loss = by_label(labels, positive, -scores.log_not_p, unknown)
        return loss.sum() / len(labels)
