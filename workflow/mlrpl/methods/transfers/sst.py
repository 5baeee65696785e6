"""SST, structured semantic transfer (Chen et al., AAAI 2022).

An unknown class becomes a pseudo positive if it goes with the classes that are known to
be in the image (a network over pairs of classes), or if its feature is like those of
known positives in other images (a memory). `SST.py` of HCP-MLR-PL. What its code says
and its text does not: the memory starts as zeros, which count (`memory_mean`); pairs
with an unknown label are negatives of the pair network; the two losses with pseudo
labels contain the known ones again.
"""

from collections.abc import Hashable
from typing import Unpack

import torch
from torch import Tensor

from mlrpl.methods.base import Step, TrainingImages
from mlrpl.methods.inputs import Inputs
from mlrpl.methods.transfers.memory import Memory
from mlrpl.methods.transfers.pair_network import presence
from mlrpl.methods.transfers.pair_transfer import PairOptions, PairTransfer


class StructuredSemanticTransfer(PairTransfer):
    """Pseudo labels from within the image and from across images."""

    margin: Tensor

    def __init__(
        self,
        inputs: Inputs,
        *,
        pseudo_margin: float,
        pseudo_margin_step: float,
        pseudo_margin_min: float,
        memory_size: int,
        memory_mean: str,
        **options: Unpack[PairOptions],
    ):
        """Draw the pair network, and make the memory.

        Args:
            inputs: sizes, `class_dim` among them.
            pseudo_margin: what a class must reach, at first.
            pseudo_margin_step: how much that falls after each epoch.
            pseudo_margin_min: where it stops falling.
            memory_size: see `Memory`.
            memory_mean: see `Memory`.
            options: of the pairs.
        """
        super().__init__(inputs, **options)
        shape = inputs.classes, memory_size, inputs.class_dim
        self.memory = Memory(*shape, memory_mean)
        self._margins = pseudo_margin, pseudo_margin_step, pseudo_margin_min
        # Set by `start_epoch`; a tensor, so that a CUDA graph reads what it is now.
        self.register_buffer("margin", torch.tensor(pseudo_margin), persistent=False)

    def start_epoch(self, epoch: int, training: TrainingImages) -> Hashable:
        """Set the stage, and the margin of an epoch, the first being 1."""
        start, step, least = self._margins
        fallen = step * max(epoch - 1 - self.transfer_epoch, 0)
        self.margin.fill_(max(start - fallen, least))
        return super().start_epoch(epoch, training)

    def forward(self, step: Step) -> Tensor:
        """Return the loss of a step; the memory takes its known positives."""
        labels, features = step.batch.labels, step.class_features
        pairs = self.pairs(features)
        self.memory.update(features, labels)
        loss = step.loss(step.scores, labels)
        if self.started:
            for pseudo in self.pseudo_labels(pairs, features, labels):
                loss = loss + self.pseudo_weight * step.loss(step.scores, pseudo)
        return loss + self.learned(step, pairs)

    @torch.no_grad()
    def pseudo_labels(
        self, pairs: Tensor, class_features: Tensor, labels: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return labels [B, C] with pseudo positives, within and across images."""
        return (
            with_positives(labels, presence(pairs, labels) >= self.margin),
            with_positives(
                labels, self.memory.similarity(class_features) >= self.margin
            ),
        )


def with_positives(labels: Tensor, chosen: Tensor) -> Tensor:
    """Return labels [B, C] in which unknown classes that are chosen are present."""
    return torch.where((labels == 0) & chosen, 1, labels)
