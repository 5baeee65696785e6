"""SST, HST, SARB and DSRB as their public code has them, to be measured beside ours.

The formulas of HCP-MLR-PL on the product's own weights, and what every step has in
common unfolded (`literal_graph`): every unknown label beside the whole memory,
[unknown, M, D], and maps that are blended before they are summed, [B, L, C, D]. Pseudo
labels have no gradient here, which would be zero.
"""

import copy
from abc import abstractmethod
from collections.abc import Hashable

import torch
import torch.nn.functional as F
from torch import Tensor

from mlrpl.bench.literal_graph import (
    LiteralBCE,
    LiteralContrast,
    LiteralGraphHead,
    bce,
    pair_logits,
    pair_loss,
    presence,
)
from mlrpl.errors import UserError
from mlrpl.methods.base import Group, Step, TrainingImages, Transfer
from mlrpl.methods.heads.ggnn import GatedGraphHead
from mlrpl.methods.losses.p_bce import PartialBCE
from mlrpl.methods.method import Method
from mlrpl.methods.transfers.blending import BlendingTransfer
from mlrpl.methods.transfers.dsrb import DualRepresentationBlending
from mlrpl.methods.transfers.hst import HeterogeneousSemanticTransfer
from mlrpl.methods.transfers.quadrants import QUADRANTS
from mlrpl.methods.transfers.sarb import RepresentationBlending
from mlrpl.methods.transfers.sst import StructuredSemanticTransfer
from mlrpl.methods.transfers.staged import StagedTransfer


class LiteralTransfer(Transfer):
    """A transfer on the weights and the state of the product's, at work."""

    def __init__(self, own: StagedTransfer):
        """Take the product's transfer in its second stage."""
        super().__init__()
        self.own, self.contrast = own, LiteralContrast()

    def start_epoch(self, epoch: int, training: TrainingImages) -> Hashable:
        """Set the stage of an epoch."""
        return self.own.start_epoch(epoch, training)

    def after_step(self) -> None:
        """Do what follows the optimiser's step."""
        self.own.after_step()

    def groups(self) -> list[Group]:
        """Return the product's groups."""
        return self.own.groups()

    def contrasted(self, step: Step) -> Tensor:
        """Return the contrastive loss with its weight."""
        own = self.own
        cost = self.contrast(step.class_features, step.batch.labels)
        return own.ramp * own.contrast_weight * cost


class LiteralSST(LiteralTransfer):
    """SST: every pair of classes, every unknown label beside the memory."""

    own: StructuredSemanticTransfer

    def forward(self, step: Step) -> Tensor:
        """Return the loss of a step; the memory takes its known positives."""
        own, labels, features = self.own, step.batch.labels, step.class_features
        logits = pair_logits(own.pairs, features)
        self._remember(features.detach(), labels)
        loss = step.loss(step.scores, labels)
        for pseudo in self._pseudo_labels(logits.detach(), features.detach(), labels):
            loss = loss + own.pseudo_weight * step.loss(step.scores, pseudo)
        loss = loss + own.ramp * own.pair_weight * pair_loss(logits, labels)
        return loss + self.contrasted(step)

    def _remember(self, features: Tensor, labels: Tensor) -> None:
        memory = self.own.memory.features
        for c in range(labels.shape[1]):
            new = features[:, c][labels[:, c] == 1]
            memory[c] = torch.cat((new, memory[c]))[: memory.shape[1]]

    def _pseudo_labels(
        self, logits: Tensor, features: Tensor, labels: Tensor
    ) -> list[Tensor]:
        """Return labels [B, C] with pseudo positives, within and across images."""
        margin, memory = self.own.margin, self.own.memory.features
        within = presence(logits, labels) >= margin
        rows, classes = (labels == 0).nonzero(as_tuple=True)
        cosine = F.cosine_similarity(
            features[rows, classes][:, None], memory[classes], dim=2
        )  # [unknown, M]
        across = labels.clone()
        across[rows, classes] = (cosine.mean(dim=1) >= margin).to(labels.dtype)
        return [labels + (labels == 0) * within, across]


class LiteralHST(LiteralTransfer):
    """HST: every pair of classes, every label beside all prototypes."""

    own: HeterogeneousSemanticTransfer

    def forward(self, step: Step) -> Tensor:
        """Return the loss of a step."""
        own, labels, features = self.own, step.batch.labels, step.class_features
        logits = pair_logits(own.pairs, features)
        cosine = F.cosine_similarity(
            features[:, :, None], own.prototypes.centers[None], dim=3
        ).mean(dim=2)
        values = (
            (presence(logits, labels) - own.intra_margin).clamp(0, 1),
            (cosine - own.inter_margin).clamp(0, 1),
        )
        loss = step.loss(step.scores, labels)
        for value in values:
            pseudo = labels + (labels == 0) * (value.detach() > 0)
            loss = loss + own.pseudo_weight * step.loss(step.scores, pseudo)
            loss = loss + own.margin_weight * bce(value, labels)
        apart = (1 + own.sign * labels * cosine).mean()
        loss = loss + own.prototype_loss * apart
        loss = loss + own.ramp * own.pair_weight * pair_loss(logits, labels)
        return loss + self.contrasted(step)


class LiteralBlending(LiteralTransfer):
    """What SARB and DSRB share: three passes through the head, one after the other."""

    own: BlendingTransfer

    def forward(self, step: Step) -> Tensor:
        """Return the loss of a step."""
        own, labels = self.own, step.batch.labels
        with torch.no_grad():
            own.alpha.clamp_(0, 1)
            own.beta.clamp_(0, 1)
        there = labels.flip(0)
        share = torch.ones_like(labels, dtype=own.alpha.dtype)
        share[(labels == 0) & (there == 1)] = own.alpha
        mixed = share * labels + (1 - share) * there
        loss = step.loss(step.scores, labels)
        scores = step.rescore(self.with_images(step, share))
        loss = loss + own.instance_weight * step.loss(scores, mixed)
        prototypes = self.prototypes_for(step)
        chosen = own.chosen(labels).to(own.beta.dtype)
        mixed = (1 - chosen) * labels + chosen * (1 - own.beta)
        scores = step.rescore(self.with_prototypes(step, chosen, prototypes))
        loss = loss + own.prototype_weight * step.loss(scores, mixed)
        return loss + self.contrasted(step)

    def blended(self, features: Tensor, chosen: Tensor, prototypes: Tensor) -> Tensor:
        """Return features with the prototypes' share where `chosen` is 1."""
        mixed = self.own.beta * features + (1 - self.own.beta) * prototypes
        return chosen * mixed + (1 - chosen) * features

    @abstractmethod
    def with_images(self, step: Step, share: Tensor) -> Tensor:
        """Return features [B, C, D] blended with those of the batch in reverse."""

    @abstractmethod
    def prototypes_for(self, step: Step) -> Tensor:
        """Return the prototypes of images and classes; draws at random."""

    @abstractmethod
    def with_prototypes(self, step: Step, chosen: Tensor, prototypes: Tensor) -> Tensor:
        """Return features [B, C, D] blended with prototypes."""


class LiteralSARB(LiteralBlending):
    """SARB: features are blended."""

    own: RepresentationBlending

    def with_images(self, step: Step, share: Tensor) -> Tensor:
        """See `LiteralBlending`."""
        features, share = step.class_features, share[..., None]
        return share * features + (1 - share) * features.flip(0)

    def prototypes_for(self, step: Step) -> Tensor:
        """Return the same cluster of each class for all images, [B, C, D]."""
        prototypes = self.own.prototypes
        number = self.own.draw_prototype(prototypes.filled)
        centers = prototypes.centers[:, number][:, 0]
        return centers.repeat(len(step.batch.labels), 1, 1)

    def with_prototypes(self, step: Step, chosen: Tensor, prototypes: Tensor) -> Tensor:
        """See `LiteralBlending`."""
        return self.blended(step.class_features, chosen[..., None], prototypes)


class LiteralDSRB(LiteralBlending):
    """DSRB: weighted maps are blended, and summed over the locations afterwards."""

    needs_evidence = True
    own: DualRepresentationBlending

    def __init__(self, own: DualRepresentationBlending):
        """Spread each prototype of the product over the locations of a map."""
        super().__init__(own)
        rows, columns = own.prototypes.grid
        even = own.prototypes.means[:, :, None] / (rows * columns)
        maps = even.repeat(1, 1, rows * columns, 1)  # [C, 4, L, D]
        self.register_buffer("maps", maps, persistent=False)

    def with_images(self, step: Step, share: Tensor) -> Tensor:
        """See `LiteralBlending`."""
        maps, share = step.evidence, share[:, None, :, None]
        return (share * maps + (1 - share) * maps.flip(0)).sum(dim=1)

    def prototypes_for(self, step: Step) -> Tensor:
        """Return each class's map of another quadrant than its own, [B, L, C, D]."""
        rows, columns = self.own.prototypes.grid
        of_place = step.evidence.sum(dim=-1).unflatten(1, (rows, columns))
        row = of_place.amax(dim=2).argmax(dim=1)
        column = of_place.amax(dim=1).argmax(dim=1)
        quadrant = 2 * (row >= rows // 2) + (column >= columns // 2)  # [B, C]
        quadrant = (quadrant - self.own.draw_shifts(quadrant)) % QUADRANTS
        classes = torch.arange(quadrant.shape[1], device=quadrant.device)
        return self.maps[classes, quadrant].transpose(1, 2)

    def with_prototypes(self, step: Step, chosen: Tensor, prototypes: Tensor) -> Tensor:
        """See `LiteralBlending`."""
        chosen = chosen[:, None, :, None]
        return self.blended(step.evidence, chosen, prototypes).sum(dim=1)


TRANSFERS: dict[type, type[LiteralTransfer]] = {
    StructuredSemanticTransfer: LiteralSST,
    HeterogeneousSemanticTransfer: LiteralHST,
    RepresentationBlending: LiteralSARB,
    DualRepresentationBlending: LiteralDSRB,
}


def has_literal(method: Method) -> bool:
    """Say whether there is a literal form of a method."""
    parts = method.head, method.transfer, method.loss_part
    known = type(parts[0]) is GatedGraphHead and type(parts[1]) in TRANSFERS
    return known and isinstance(parts[2], PartialBCE) and parts[2].weight == "none"


def literal(method: Method) -> Method:
    """Return a copy of a method whose head, transfer and loss are literal.

    Args:
        method: the graph head with one of the transfers, every class with prototypes,
            and the plain partial cross-entropy; in the stage with transfer.

    Raises:
        UserError: for other parts, of which there is no literal form.
    """
    if not has_literal(method):
        raise UserError(
            f"bench: there is no literal form of {type(method.transfer).__name__} with "
            f"{type(method.head).__name__} and {type(method.loss_part).__name__}; "
            "leave the method out"
        )
    method = copy.deepcopy(method)
    method.head = LiteralGraphHead(method.head)
    method.transfer = TRANSFERS[type(method.transfer)](method.transfer)
    method.loss_part = LiteralBCE()
    return method
