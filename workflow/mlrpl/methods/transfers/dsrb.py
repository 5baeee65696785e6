"""DSRB, dual-perspective representation blending (Pu et al., ESWA 2024).

As SARB, with prototypes from another place: of the class in a quadrant of the image in
which it is not. The public code (`DSRB.py` of HCP-MLR-PL) does not start; its gaps are
filled as in SARB. What it says and its text does not: a prototype is a sum over n
features divided by n + 1; at most 100 of a quadrant; the first class is overwritten
where none is unknown (`blend_known`).
"""

import torch
from torch import Tensor

from mlrpl.methods.base import Step, TrainingImages
from mlrpl.methods.inputs import Inputs
from mlrpl.methods.transfers.blending import BlendingTransfer
from mlrpl.methods.transfers.quadrants import (
    QUADRANTS,
    QuadrantPrototypes,
    quadrant,
)


class DualRepresentationBlending(BlendingTransfer):
    """Blending with other images' features, and with prototypes of other quadrants."""

    needs_evidence = True

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
        blend_classes: int,
        quadrant_members: int,
        prototype_every: int,
        lr_scalars: float,
    ):
        """Set the shares, and make room for the prototypes.

        Args:
            inputs: sizes, `class_dim` and `grid` among them.
            transfer_epoch: see `BlendingTransfer`, so the next five and the rate.
            contrast_weight: of the contrastive loss.
            blend_start: start of both shares.
            instance_weight: of the loss with other images.
            prototype_weight: of the loss with prototypes.
            blend_known: blend the first classes where too few are unknown.
            blend_classes: classes of an image that are blended with a prototype.
            quadrant_members: see `QuadrantPrototypes`.
            prototype_every: epochs between two computations of them.
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
        self.blend_classes = blend_classes
        self.prototypes = QuadrantPrototypes(
            inputs.classes, inputs.class_dim, inputs.grid, quadrant_members
        )

    def compute_prototypes(self, training: TrainingImages) -> None:
        """Take the means of known positives by quadrant."""
        self.prototypes.compute(training)

    def prototypes_for(self, step: Step) -> tuple[Tensor, Tensor]:
        """Return each class's prototype of another quadrant than the image's own."""
        own = quadrant(step.evidence, self.prototypes.grid)
        elsewhere = (own - self.draw_shifts(own)) % QUADRANTS
        return self.prototypes.at(elsewhere), self.prototypes.present > 0

    def draw_shifts(self, own: Tensor) -> Tensor:
        """Return 1, 2 or 3 for each image and class, [B, C]."""
        return torch.randint(1, QUADRANTS, own.shape, device=own.device)

    def chosen(self, labels: Tensor) -> Tensor:
        """Return some unknown classes of each image, drawn, [B, C]."""
        return self.drawn_unknown(labels, self.blend_classes)
