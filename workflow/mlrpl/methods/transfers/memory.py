"""A memory of the latest features of each class's known positives (SST)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

EPS = 1e-8  # what `F.cosine_similarity` has by default


class Memory(nn.Module):
    """For each class so many features, the newest first; zeros at the start.

    The public code keeps it outside of the model; here it is a buffer, so that a killed
    training goes on with it.
    """

    features: Tensor

    def __init__(self, classes: int, size: int, class_dim: int, mean: str = "all"):
        """Make it empty.

        Args:
            classes: C.
            size: M, features of a class.
            class_dim: D.
            mean: the similarity is a mean over "all" places, of which empty ones count
                as 0, or over the "filled" ones.
        """
        super().__init__()
        self.register_buffer("features", torch.zeros(classes, size, class_dim))
        self.mean = mean

    @torch.no_grad()
    def update(self, class_features: Tensor, labels: Tensor) -> None:
        """Put a batch's known positives in front, as they stand in the batch.

        Args:
            class_features: [B, C, D].
            labels: [B, C].
        """
        size = self.features.shape[1]
        new = class_features.detach().transpose(0, 1)
        both = torch.cat((new.to(self.features.dtype), self.features), dim=1)
        # New ones of other images than known positives go behind all others.
        skipped = F.pad((labels != 1).T.to(torch.uint8), (0, size))
        order = torch.argsort(skipped, dim=1, stable=True)[:, :size]
        index = order[:, :, None].expand(-1, -1, both.shape[2])
        self.features.copy_(both.gather(1, index))

    def similarity(self, class_features: Tensor) -> Tensor:
        """Return the mean cosine of features [B, C, D] with the memory, [B, C]."""
        unit = F.normalize(self.features, dim=-1, eps=EPS)
        # The mean of cosines is the product with the mean of unit vectors.
        mean = unit.mean(dim=1)
        if self.mean == "filled":
            filled = (self.features != 0).any(dim=-1).sum(dim=1).clamp(min=1)
            mean = unit.sum(dim=1) / filled[:, None]
        return (F.normalize(class_features, dim=-1, eps=EPS) * mean).sum(dim=-1)
