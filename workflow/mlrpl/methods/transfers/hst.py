"""HST, heterogeneous semantic transfer (Chen et al., IJCV 2024).

As SST, with prototypes in the place of the memory and two learned margins. `HST.py` of
HCP-MLR-PL. What its code says and its text does not: margins start at 1, which nothing
can pass (`margin_start`), and learn through a clamp (`margin_slope`); Adam moves them
by about its rate a step, hence `lr_scalars`; the loss of the prototypes has the sign
that drives positives away from them (`prototype_sign`); k-means stops where a class has
fewer positives than clusters (`few_positives`).
"""

from collections.abc import Hashable
from typing import Unpack

import torch
from torch import Tensor, nn

from mlrpl.methods.base import Group, Step, TrainingImages
from mlrpl.methods.inputs import Inputs
from mlrpl.methods.losses.p_bce import PartialBCE
from mlrpl.methods.scores import sigmoid
from mlrpl.methods.transfers.pair_network import presence
from mlrpl.methods.transfers.pair_transfer import PairOptions, PairTransfer
from mlrpl.methods.transfers.prototypes import KMeansPrototypes
from mlrpl.methods.transfers.sst import with_positives


class HeterogeneousSemanticTransfer(PairTransfer):
    """Pseudo labels from pairs of classes and from prototypes, by learned margins."""

    def __init__(
        self,
        inputs: Inputs,
        *,
        margin_start: float,
        margin_weight: float,
        margin_slope: int,
        prototype_loss: float,
        prototype_sign: str,
        prototypes: int,
        prototype_every: int,
        few_positives: str,
        lr_scalars: float,
        **options: Unpack[PairOptions],
    ):
        """Draw the pair network; margins and prototypes start empty.

        Args:
            inputs: sizes, `class_dim` among them.
            margin_start: of both margins.
            margin_weight: of each loss that they learn from.
            margin_slope: of the clamp at its bounds, 1 or 0.
            prototype_loss: weight of the loss of features and prototypes.
            prototype_sign: "corrected" or "as_coded".
            prototypes: see `KMeansPrototypes`.
            prototype_every: epochs between two computations of them.
            few_positives: see `KMeansPrototypes`.
            lr_scalars: rate of the margins.
            options: of the pairs.
        """
        super().__init__(inputs, **options)
        self.prototypes = KMeansPrototypes(
            inputs.class_names, prototypes, inputs.class_dim, few_positives
        )
        self.intra_margin = nn.Parameter(torch.tensor(float(margin_start)))
        self.inter_margin = nn.Parameter(torch.tensor(float(margin_start)))
        self.bce = PartialBCE()
        self.margin_weight, self.slope = margin_weight, margin_slope
        self.every, self.lr_scalars = prototype_every, lr_scalars
        corrected = prototype_sign == "corrected"
        self.prototype_loss, self.sign = prototype_loss, -1 if corrected else 1

    def start_epoch(self, epoch: int, training: TrainingImages) -> Hashable:
        """Set the stage of an epoch, the first being 1; cluster where it is time to."""
        phase = super().start_epoch(epoch, training)
        if self.due(epoch, self.every):
            self.prototypes.compute(training)
        return phase

    def groups(self) -> list[Group]:
        """Return the pair network, and the margins with a rate of their own."""
        margins = [self.intra_margin, self.inter_margin]
        return [
            Group(list(self.pairs.parameters())),
            Group(margins, rate=self.lr_scalars),
        ]

    def forward(self, step: Step) -> Tensor:
        """Return the loss of a step."""
        pairs = self.pairs(step.class_features)
        loss = step.loss(step.scores, step.batch.labels)
        if self.started:
            loss = loss + self._transferred(step, pairs)
        return loss + self.learned(step, pairs)

    def _transferred(self, step: Step, pairs: Tensor) -> Tensor:
        """Return the losses with pseudo labels, of the margins and of prototypes."""
        labels = step.batch.labels
        cosine = self.prototypes.mean_cosine(step.class_features)
        # 1 for an unknown label too, as in the public code.
        apart = (1 + self.sign * labels * cosine).mean()
        loss = self.prototype_loss * apart
        for value in self.exceeding(presence(pairs, labels), cosine):
            pseudo = with_positives(labels, value.detach() > 0)
            loss = loss + self.pseudo_weight * step.loss(step.scores, pseudo)
            # What is above the margin is a logit, from 0 on.
            loss = loss + self.margin_weight * self.bce(sigmoid(value), labels)
        return loss

    def exceeding(self, within: Tensor, across: Tensor) -> tuple[Tensor, Tensor]:
        """Return by how much the similarities [B, C] are above their margins."""
        return (
            clamped(within - self.intra_margin, self.slope),
            clamped(across - self.inter_margin, self.slope),
        )


def clamped(values: Tensor, slope: int) -> Tensor:
    """Return values clamped to 0 and 1, with a gradient of `slope` at these bounds."""
    inside = (values > 0) & (values < 1)
    if slope:
        inside = inside | (values == 0) | (values == 1)
    return torch.where(inside, values, values.detach().clamp(0, 1))
