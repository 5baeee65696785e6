"""SARB, semantic-aware representation blending (Pu et al., AAAI 2022).

`SARB.py` of HCP-MLR-PL. What its code says and its text does not: a batch is blended
with itself in reverse; one prototype for the whole batch, in one class of each image;
an image without an unknown class has its first class overwritten (`blend_known`); the
known labels stand in all three losses; Adam moves the two shares by about its rate a
step, hence `lr_scalars`.
"""

from typing import Unpack

import torch
from torch import Tensor

from mlrpl.methods.base import Step, TrainingImages
from mlrpl.methods.inputs import Inputs
from mlrpl.methods.transfers.blending import BlendingOptions, BlendingTransfer
from mlrpl.methods.transfers.prototypes import KMeansPrototypes


class RepresentationBlending(BlendingTransfer):
    """Blending with other images' features, and with a cluster of each class."""

    def __init__(
        self,
        inputs: Inputs,
        *,
        prototypes: int,
        few_positives: str,
        **options: Unpack[BlendingOptions],
    ):
        """Set the shares, and make room for the prototypes.

        Args:
            inputs: sizes, `class_dim` among them.
            prototypes: see `KMeansPrototypes`.
            few_positives: see `KMeansPrototypes`.
            options: of the blending.
        """
        super().__init__(**options)
        self.prototypes = KMeansPrototypes(
            inputs.class_names, prototypes, inputs.class_dim, few_positives
        )

    def compute_prototypes(self, training: TrainingImages) -> None:
        """Cluster the known positives of each class."""
        self.prototypes.compute(training)

    def prototypes_for(self, step: Step) -> tuple[Tensor, Tensor]:
        """Return one cluster's centre for all images; which it is is drawn.

        A class with fewer centres takes the drawn number modulo how many it has.
        """
        centers, filled = self.prototypes.centers, self.prototypes.filled
        number = filled.sum(dim=1).long()
        place = self.draw_prototype(filled) % number.clamp(min=1)
        index = place[:, None, None].expand(-1, 1, centers.shape[2])
        return centers.gather(1, index)[:, 0], number > 0

    def draw_prototype(self, filled: Tensor) -> Tensor:
        """Return the number of a cluster, [1]."""
        return torch.randint(filled.shape[1], (1,), device=filled.device)

    def chosen(self, labels: Tensor) -> Tensor:
        """Return one unknown class of each image, drawn, [B, C]."""
        return self.drawn_unknown(labels, 1)
