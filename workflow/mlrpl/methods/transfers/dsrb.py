"""DSRB, dual-perspective representation blending (Pu et al., ESWA 2024).

As SARB, with prototypes from another place: of the class in a quadrant of the image in
which it is not. The public code (`DSRB.py` of HCP-MLR-PL) does not start; its gaps are
filled as in SARB. What it says and its text does not: a prototype is a sum over n
features divided by n + 1; at most 100 of a quadrant; the first class is overwritten
where none is unknown (`blend_known`).
"""

from typing import Unpack

import torch
from torch import Tensor

from mlrpl.methods.base import Step, TrainingImages
from mlrpl.methods.inputs import Inputs
from mlrpl.methods.transfers.blending import BlendingOptions, BlendingTransfer
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
        blend_classes: int,
        quadrant_members: int,
        **options: Unpack[BlendingOptions],
    ):
        """Set the shares, and make room for the prototypes.

        Args:
            inputs: sizes, `class_dim` and `grid` among them.
            blend_classes: classes of an image that are blended with a prototype.
            quadrant_members: see `QuadrantPrototypes`.
            options: of the blending.
        """
        super().__init__(**options)
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
