"""EM and EM + APL (Zhou et al., ECCV 2022).

Entropy maximisation: unknown labels are held where they are undecided. Asymmetric
pseudo-labelling: after some epochs the unknown labels with the lowest scores become
soft negatives, a few after each epoch, for good. `losses.py` and `main.py` of
Correr-Zhou/SPML-AckTheUnknown.

That code stores a soft label s as -s among the labels, where a known negative of -1
would be a soft label of 1; here soft labels are kept apart, and a known negative costs
-log(1 - p).
"""

from collections.abc import Hashable
from typing import Self

import torch
from torch import Tensor

from mlrpl.config.options import Options
from mlrpl.methods.base import Batch, Loss, TrainingImages
from mlrpl.methods.inputs import Inputs
from mlrpl.methods.losses.by_label import by_label, minus_logs
from mlrpl.methods.scores import Scores

# Images that are scored at once before an epoch.
IMAGES = 256
NONE = -1.0


def entropy_loss(scores: Scores, labels: Tensor, weight: float) -> Tensor:
    """Return the cost [B, C] of labels; an unknown one's is -weight * entropy."""
    positive, negative = minus_logs(scores)
    entropy = scores.p * positive + scores.not_p * negative
    return by_label(labels, positive, negative, -weight * entropy)


class EntropyMaximization(Loss):
    """EM: mean over all B * C, unknown labels with their negative entropy."""

    def __init__(self, inputs: Inputs | None = None, *, entropy_weight: float):
        """Take alpha, the weight of the entropy of unknown labels."""
        super().__init__()
        self.weight = entropy_weight

    def forward(self, scores: Scores, labels: Tensor) -> Tensor:
        """Return the loss of a batch, a scalar."""
        return entropy_loss(scores, labels, self.weight).mean()


class AsymmetricPseudoLabeling(Loss):
    """EM, and soft negatives that are chosen from epoch `apl_epoch` + 1 on.

    Attributes:
        soft: soft labels [N, C] of the training images, -1 where there is none.
    """

    needs_batch = True
    soft: Tensor
    unknown: Tensor

    def __init__(
        self,
        inputs: Inputs,
        epochs: int,
        *,
        entropy_weight: float,
        soft_weight: float,
        soft_share: float,
        apl_epoch: int,
    ):
        """Start without soft labels.

        Args:
            inputs: the partial labels [N, C].
            epochs: of the training.
            entropy_weight: alpha, of the entropy of unknown labels.
            soft_weight: beta, of soft labels.
            soft_share: of the unknown labels of a class that become soft ones in the
                epochs after `apl_epoch`, as many in each.
            apl_epoch: epochs before the first are chosen.
        """
        super().__init__()
        self.entropy_weight, self.soft_weight = entropy_weight, soft_weight
        self.apl_epoch = apl_epoch
        rounds = max(epochs - apl_epoch, 1)
        number = soft_share * (inputs.known == 0).sum(dim=0) / rounds
        self.register_buffer("number", number.long(), persistent=False)
        self.register_buffer("soft", torch.full(inputs.known.shape, NONE))

    @classmethod
    def from_options(cls, options: Options, inputs: Inputs) -> Self:
        """Build the loss; the epochs say how many are chosen after each."""
        return cls(inputs, options.epochs, **options.part(cls.kind))

    def start_epoch(self, epoch: int, training: TrainingImages) -> Hashable:
        """Choose more soft labels, by what the epoch before has learned."""
        if epoch > self.apl_epoch:
            scored = list(training.scored(IMAGES))
            self.choose(
                torch.cat([scores.p for _, scores in scored]),
                torch.cat([batch.labels for batch, _ in scored]),
            )
        return None

    @torch.no_grad()
    def choose(self, p: Tensor, labels: Tensor) -> None:
        """Make the lowest unknown probabilities [N, C] of each class soft labels."""
        open_ = (labels == 0) & (self.soft == NONE)
        order = torch.where(open_, p, torch.inf).argsort(dim=0, stable=True)
        chosen = (order.argsort(dim=0) < self.number) & open_
        self.soft.copy_(torch.where(chosen, p, self.soft))

    def forward(self, scores: Scores, labels: Tensor, batch: Batch) -> Tensor:
        """Return the loss of a batch, a scalar."""
        loss = entropy_loss(scores, labels, self.entropy_weight)
        soft = self.soft[batch.images]
        positive, negative = minus_logs(scores)
        pseudo = self.soft_weight * (soft * positive + (1 - soft) * negative)
        return torch.where((labels == 0) & (soft != NONE), pseudo, loss).mean()
