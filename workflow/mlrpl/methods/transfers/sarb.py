"""SARB, semantic-aware representation blending (Pu et al., AAAI 2022).

`SARB.py` of HCP-MLR-PL. What its code says and its text does not: a batch is blended
with itself in reverse; one prototype for the whole batch, in one class of each image;
an image without an unknown class has its first class overwritten (`blend_known`); the
known labels stand in all three losses; Adam moves the two shares by about its rate a
step, hence `lr_scalars`.
"""

import torch
from torch import Tensor

from mlrpl.methods.base import Step, TrainingImages
from mlrpl.methods.inputs import Inputs
from mlrpl.methods.transfers.blending import BlendingTransfer
from mlrpl.methods.transfers.prototypes import KMeansPrototypes


class RepresentationBlending(BlendingTransfer):
    """Blending with other images' features, and with a cluster of each class."""

    def __init__(
        self,
        inputs: Inputs,
        *,
        transfer_epoch: int,
        contrast_weight: float,
        blend_start: float,
        instance_weight: float,
        prototype_weight: float,
        blend_known: bool,
        prototypes: int,
        prototype_every: int,
        few_positives: str,
        lr_scalars: float,
    ):
        """Set the shares, and make room for the prototypes.

        Args:
            inputs: sizes, `class_dim` among them.
            transfer_epoch: see `BlendingTransfer`, so the next five and the rate.
            contrast_weight: of the contrastive loss.
            blend_start: start of both shares.
            instance_weight: of the loss with other images.
            prototype_weight: of the loss with prototypes.
            blend_known: blend the first class of an image without an unknown one.
            prototypes: see `KMeansPrototypes`.
            prototype_every: epochs between two computations of them.
            few_positives: see `KMeansPrototypes`.
            lr_scalars: rate of the shares.
        """
        super().__init__(
            transfer_epoch=transfer_epoch,
            contrast_weight=contrast_weight,
            blend_start=blend_start,
            instance_weight=instance_weight,
            prototype_weight=prototype_weight,
            blend_known=blend_known,
            prototype_every=prototype_every,
            lr_scalars=lr_scalars,
        )
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
