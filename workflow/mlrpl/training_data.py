"""Cached features and labels as the training loop reads them."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mlrpl.encoder.cache import FeatureCache


@dataclass(frozen=True)
class Batch:
    """Features (fp32, [B, L, K] or [B, D]) and labels [B, C] on the device."""

    features: Tensor
    labels: Tensor


class Split:
    """One split's features of one kind, in memory, with its labels.

    The features stay fp16 and become fp32 a batch at a time. They are kept on the
    device when at most half of its free memory goes into them, else on the host.
    """

    def __init__(
        self,
        cache: FeatureCache,
        labels: np.ndarray,
        reads: str,
        device: torch.device,
        views: int | None = None,
    ):
        """Read the cache.

        Args:
            cache: the split's feature shards.
            labels: [N, C] in {-1, 0, 1}.
            reads: "map" or "global".
            device: where batches are wanted.
            views: read only the first so many views.
        """
        count = len(cache.views) if views is None else views
        read = cache.read_maps if reads == "map" else cache.read_globals
        # [V, N, ...], one array a view, each as it lies in the cache.
        self.features = [torch.from_numpy(read(view)) for view in range(count)]
        self.labels = torch.from_numpy(labels)
        self.device = device
        if device.type == "cuda":
            size = sum(f.numel() * f.element_size() for f in self.features)
            if size < torch.cuda.mem_get_info(device)[0] / 2:
                self.features = [f.to(device) for f in self.features]
            self.labels = self.labels.to(device)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def channels(self) -> int:
        """K of a map, or D of a global feature."""
        return self.features[0].shape[-1]

    def batches(self, size: int) -> Iterator[Batch]:
        """Iterate over the first view in order."""
        for start in range(0, len(self), size):
            part = slice(start, start + size)
            features = self.features[0][part].to(self.device).float()
            yield Batch(features, self.labels[part])

    def shuffled(self, size: int, seed: int, epoch: int) -> Iterator[Batch]:
        """Iterate in an order drawn from seed and epoch, each image in a drawn view."""
        random = np.random.default_rng([seed, epoch])
        order = torch.from_numpy(random.permutation(len(self)))
        views = torch.from_numpy(random.integers(len(self.features), size=len(self)))
        for rows in order.split(size):
            yield Batch(self._rows(rows, views[rows]), self._take(self.labels, rows))

    def _rows(self, rows: Tensor, views: Tensor) -> Tensor:
        if len(self.features) == 1:
            return self._take(self.features[0], rows).to(self.device).float()
        parts = [
            self._take(self.features[int(view)], row[None])
            for row, view in zip(rows, views, strict=True)
        ]
        return torch.cat(parts).to(self.device).float()

    @staticmethod
    def _take(source: Tensor, rows: Tensor) -> Tensor:
        return source[rows.to(source.device)]
