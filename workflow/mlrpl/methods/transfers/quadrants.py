"""Prototypes of a class by the quadrant of the image that it is in (DSRB).

The public code blends attention-weighted maps and sums them over the locations
afterwards. Only the sum is used, so blending the sums is the same, and no map is kept.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mlrpl.methods.base import TrainingImages

QUADRANTS = 4
IMAGES = 256  # that pass the head at once


class QuadrantPrototypes(nn.Module):
    """The mean feature of a class's known positives in each quadrant."""

    means: Tensor
    present: Tensor

    def __init__(
        self, classes: int, class_dim: int, grid: tuple[int, int], members: int
    ):
        """Make room; `compute` fills it.

        Args:
            classes: C.
            class_dim: D of the class features.
            grid: rows and columns of the map.
            members: of a class and a quadrant that the mean is taken of, at most.
        """
        super().__init__()
        self.grid, self.members = grid, members
        self.register_buffer("means", torch.zeros(classes, QUADRANTS, class_dim))
        # 1 for a class with a known positive.
        self.register_buffer("present", torch.zeros(classes))

    @torch.no_grad()
    def compute(self, training: TrainingImages) -> None:
        """Take the first known positives, in the order of the training images.

        As the public code: a sum over n members is divided by n + 1, and a quadrant
        without any has the mean of all members of the class.
        """
        sums = torch.zeros_like(self.means)
        counts = sums.new_zeros(sums.shape[:2])
        for batch, found in training.located(IMAGES):
            own = quadrant(found.evidence, self.grid)
            of_class = F.one_hot(own, QUADRANTS) * (batch.labels == 1)[..., None]
            of_class = of_class.to(sums.dtype)  # [B, C, 4]
            there = counts + of_class.cumsum(dim=0) <= self.members
            kept = (of_class * there).permute(1, 2, 0)
            sums += kept @ found.class_features.transpose(0, 1)
            counts += kept.sum(dim=2)
        whole = counts.sum(dim=1)
        mean = sums.sum(dim=1) / whole.clamp(min=1)[:, None]
        own = sums / (counts + 1)[..., None]
        self.means.copy_(torch.where(counts[..., None] > 0, own, mean[:, None]))
        self.present.copy_(whole > 0)

    def at(self, quadrants: Tensor) -> Tensor:
        """Return the prototypes [B, C, D] of classes in quadrants [B, C]."""
        classes = torch.arange(len(self.means), device=quadrants.device)
        return self.means[classes, quadrants]


def quadrant(evidence: Tensor, grid: tuple[int, int]) -> Tensor:
    """Return the quadrant of each class's peak, [B, C]: 2 lower + right, 0 to 3.

    The peak's row is that of the largest maximum over the columns, and its column that
    of the largest maximum over the rows. The upper half has half the rows, rounded
    down, and so has the left half.

    Args:
        evidence: [B, C, L], as in `base.Located`.
        grid: rows and columns of the locations.
    """
    rows, columns = grid
    on_grid = evidence.unflatten(-1, (rows, columns))
    row = on_grid.amax(dim=-1).argmax(dim=-1)
    column = on_grid.amax(dim=-2).argmax(dim=-1)
    return 2 * (row >= rows // 2) + (column >= columns // 2)
