"""What SARB and DSRB share: features of unknown classes blended with known ones.

An unknown class gets a share of a feature of that class from elsewhere: from another
image of the batch that is known to show it, or from a prototype. Scored by the same
head, the blended feature should be a positive with the share's weight. The two shares
are learned, through the features and through the targets.
"""

from collections.abc import Hashable
from typing import TypedDict, Unpack

import torch
from torch import Tensor, nn

from mlrpl.methods.base import Group, Step, TrainingImages
from mlrpl.methods.scores import Scores
from mlrpl.methods.transfers.contrastive import ContrastiveLoss
from mlrpl.methods.transfers.staged import StagedTransfer


class BlendingOptions(TypedDict):
    """Options of both.

    Attributes:
        transfer_epoch: epochs before there is blending.
        contrast_weight: of the contrastive loss.
        blend_start: start of both shares.
        instance_weight: of the loss of features blended with another image's.
        prototype_weight: of the loss of those blended with a prototype.
        blend_known: blend the first classes of an image where too few are unknown.
        prototype_every: epochs between two computations of the prototypes.
        lr_scalars: rate of the shares.
    """

    transfer_epoch: int
    contrast_weight: float
    blend_start: float
    instance_weight: float
    prototype_weight: float
    blend_known: bool
    prototype_every: int
    lr_scalars: float


class BlendingTransfer(StagedTransfer):
    """Blending with another image's features and with prototypes.

    Attributes:
        alpha: an image's own share in a feature blended with another image's.
        beta: its own share in one blended with a prototype.
    """

    def __init__(self, **options: Unpack[BlendingOptions]):
        """Set the shares."""
        super().__init__(options["transfer_epoch"])
        start = float(options["blend_start"])
        self.alpha = nn.Parameter(torch.tensor(start))
        self.beta = nn.Parameter(torch.tensor(start))
        self.contrast = ContrastiveLoss()
        self.contrast_weight = options["contrast_weight"]
        self.instance_weight = options["instance_weight"]
        self.prototype_weight = options["prototype_weight"]
        self.blend_known = options["blend_known"]
        self.every, self.lr_scalars = options["prototype_every"], options["lr_scalars"]

    def compute_prototypes(self, training: TrainingImages) -> None:
        """Compute the prototypes from all training images."""
        raise NotImplementedError

    def prototypes_for(self, step: Step) -> tuple[Tensor, Tensor]:
        """Return a prototype for each image and class [B, C, D], and if there is one.

        The latter is [B, C], of truth values. Draws at random.
        """
        raise NotImplementedError

    def chosen(self, labels: Tensor) -> Tensor:
        """Return which classes get a prototype's share, [B, C]; draws at random."""
        raise NotImplementedError

    def start_epoch(self, epoch: int, training: TrainingImages) -> Hashable:
        """Set the stage of an epoch, the first being 1; prototypes where it is time."""
        phase = super().start_epoch(epoch, training)
        if self.due(epoch, self.every):
            self.compute_prototypes(training)
        return phase

    def groups(self) -> list[Group]:
        """Return the two shares, with a rate of their own."""
        return [Group([self.alpha, self.beta], rate=self.lr_scalars)]

    def forward(self, step: Step) -> Tensor:
        """Return the loss of a step."""
        loss = step.loss(step.scores, step.batch.labels)
        if self.started:
            loss = loss + self._blended(step)
        contrast = self.contrast(step.class_features, step.batch.labels)
        return loss + self.ramp * self.contrast_weight * contrast

    def _blended(self, step: Step) -> Tensor:
        """Return the two losses of blended features."""
        with torch.no_grad():
            self.alpha.clamp_(0, 1)
            self.beta.clamp_(0, 1)
        own, targets = self.with_images(step.class_features, step.batch.labels)
        other, soft = self.with_prototypes(step)
        # Scored together: the same numbers, with larger products.
        scores = step.rescore(torch.cat((own, other)))
        first = Scores(*(part[: len(own)] for part in scores))
        second = Scores(*(part[len(own) :] for part in scores))
        loss = self.instance_weight * step.loss(first, targets)
        return loss + self.prototype_weight * step.loss(second, soft)

    def with_images(
        self, class_features: Tensor, labels: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return features blended with those of the batch in reverse, and targets.

        Where a class is unknown here and known to be there, the image's own share of
        feature and target is alpha, elsewhere 1.

        Args:
            class_features: [B, C, D].
            labels: [B, C].
        """
        there = labels.flip(0)
        share = torch.where((labels == 0) & (there == 1), self.alpha, 1.0)
        mixed = share[..., None] * class_features
        mixed = mixed + (1 - share[..., None]) * class_features.flip(0)
        return mixed, share * labels + (1 - share) * there

    def with_prototypes(self, step: Step) -> tuple[Tensor, Tensor]:
        """Return features blended with prototypes in chosen classes, and targets."""
        labels, features = step.batch.labels, step.class_features
        prototypes, there = self.prototypes_for(step)
        chosen = self.chosen(labels) & there
        share = torch.where(chosen, self.beta, 1.0)
        mixed = share[..., None] * features + (1 - share[..., None]) * prototypes
        return mixed, torch.where(chosen, 1 - self.beta, labels)

    def drawn_unknown(self, labels: Tensor, number: int) -> Tensor:
        """Return which classes are drawn among an image's unknown ones, [B, C].

        As the public code, by the largest of uniform numbers that are 0 for known
        labels. Where too few are unknown, known ones (of one, the first class) are
        drawn too with `blend_known`.
        """
        unknown = labels == 0
        keys = self.draw(labels) * unknown
        if number == 1:
            top = keys.argmax(dim=1, keepdim=True)
        else:
            top = keys.topk(min(number, labels.shape[1]), dim=1).indices
        drawn = torch.zeros_like(unknown).scatter_(1, top, True)
        return drawn if self.blend_known else drawn & unknown

    def draw(self, labels: Tensor) -> Tensor:
        """Return uniform numbers [B, C]."""
        return torch.rand(labels.shape, device=labels.device)
