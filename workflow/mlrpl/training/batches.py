"""Cached features and labels as the training loop reads them."""

import copy
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from mlrpl.errors import UserError
from mlrpl.methods.base import Batch
from mlrpl.runtime import memory
from mlrpl.training.feature_cache import FeatureCache

CHECKED = 256  # images that are looked at together


class Split:
    """One split's features of one kind, with its labels.

    The features lie in the GPU's memory if they fit, else in the host's, else they stay
    on the disk and are read a batch at a time. Batches are the same wherever they lie:
    order and views are drawn from the seed alone. The features stay fp16 and become
    fp32 a batch at a time.

    Attributes:
        rows: which images of the cache it has, None for all of them.
        place: "device", "host" or "disk".
        channels: K of a map or its maximum, or D of a global feature.
    """

    def __init__(
        self,
        cache: FeatureCache,
        labels: np.ndarray,
        reads: str,
        device: torch.device,
        views: int | None = None,
        place: str | None = None,
        further: int = 0,
    ):
        """Read the cache, unless it stays on the disk.

        Args:
            cache: the split's feature shards.
            labels: [N, C] in {-1, 0, 1}.
            reads: "map", "global", "max" or "tokens".
            device: where batches are wanted.
            views: use only the first so many views.
            place: where the features go; by default where they fit.
            further: views of an image that a shuffled batch has besides one.

        Raises:
            UserError: there are fewer views than `further`.
        """
        self.views = len(cache.views) if views is None else views
        self.further = further
        if further > self.views:
            raise UserError(
                f"features: a step compares {further} different views of each image "
                f"with this transfer, and the files have {self.views}; set "
                "encoder.views in the config to more, such as [full, flip], or choose "
                "another transfer"
            )
        self.labels = torch.from_numpy(labels)
        self.rows: Tensor | None = None
        self.device = device
        self._cache, self._reads = cache, reads
        shape = cache.shape(reads)
        self.channels = shape[-1]
        size = 2 * self.views * int(np.prod(shape))
        free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else None
        available = memory.host_memory()[1]
        self.place = place or memory.place(size, free, available)
        if self.place == "disk":
            print(
                f"warning: {size / 1e9:.1f} GB of features do not fit into memory; "
                "they are read from the disk in every epoch",
                file=sys.stderr,
            )
        # [N, ...], one tensor a view.
        self.features: list[Tensor] = []
        if self.place == "host":
            self.features += [
                torch.from_numpy(cache.read(reads, view)) for view in range(self.views)
            ]
        elif self.place == "device":  # in pieces: the host need not hold the whole
            for view in range(self.views):
                whole = torch.empty(shape, dtype=torch.float16, device=device)
                for start, piece in cache.pieces(reads, view):
                    whole[start : start + len(piece)] = torch.from_numpy(piece)
                self.features.append(whole)
        if device.type == "cuda":
            self.labels = self.labels.to(device)

    def __len__(self) -> int:
        return len(self.labels)

    def part(self, rows: np.ndarray) -> "Split":
        """Return some images of a whole split, which share its features in memory.

        Args:
            rows: which, in ascending order; they are counted anew from 0.
        """
        found = copy.copy(self)
        found.rows = torch.from_numpy(rows)
        found.labels = self.labels[found.rows.to(self.labels.device)]
        return found

    def check_features(self) -> None:
        """Look at each feature of the first view, which takes a while.

        Raises:
            UserError: one is not a finite number; the line names its image.
        """
        for batch in self.batches(CHECKED):
            fine = batch.features.flatten(1).isfinite().all(1)
            if not fine.all():
                row = int(batch.images[(~fine).nonzero()[0, 0]])
                image = row if self.rows is None else int(self.rows[row])
                raise UserError(
                    f"features: those of the split's image {image} are not finite "
                    "numbers, as are so the scores; remake its features with "
                    "`mlrpl features`"
                )

    def batches(self, size: int) -> Iterator[Batch]:
        """Iterate over the first view in order."""
        return self._ahead(self._batches(torch.arange(len(self)), None, size))

    def shuffled(self, size: int, seed: int, epoch: int) -> Iterator[Batch]:
        """Iterate in an order drawn from seed and epoch, each image in a drawn view."""
        random = np.random.default_rng([seed, epoch])
        order = torch.from_numpy(random.permutation(len(self)))
        views = torch.from_numpy(random.integers(self.views, size=len(self)))
        further = None
        if self.further:  # after all that is drawn without them
            drawn = random.random((self.views, len(self))).argsort(axis=0)
            further = torch.from_numpy(drawn[: self.further])
        return self._ahead(self._batches(order, views, size, further))

    def _batches(
        self,
        order: Tensor,
        views: Tensor | None,
        size: int,
        further: Tensor | None = None,
    ) -> Iterator[Batch]:
        there = order.to(self.labels.device)  # in one piece, not a batch at a time
        cached = order if self.rows is None else self.rows[order]
        if self.place == "device":
            cached = cached.to(self.labels.device)
        for start in range(0, len(order), size):
            part = slice(start, start + size)
            taken, rows = cached[part], there[part]
            if views is None or self.views == 1:
                features = self._take(0, taken)
            else:
                features = self._mixed(taken, views[order[part]])
            others = None
            if further is not None:
                drawn = [self._mixed(taken, kind[order[part]]) for kind in further]
                others = self._there(torch.stack(drawn))
            yield Batch(self._there(features), self.labels[rows], rows, others)

    def _there(self, features: Tensor) -> Tensor:
        if self.device.type == "cuda" and not features.is_cuda:
            features = features.pin_memory().to(self.device, non_blocking=True)
        return features.float()

    def _mixed(self, rows: Tensor, views: Tensor) -> Tensor:
        places = [(views == view).nonzero()[:, 0] for view in range(self.views)]
        taken = [
            self._take(view, rows[at.to(rows.device)]) for view, at in enumerate(places)
        ]
        features, back = torch.cat(taken), torch.cat(places).argsort()
        return features[back.to(features.device)]

    def _take(self, view: int, rows: Tensor) -> Tensor:
        if self.place == "disk":
            return torch.from_numpy(self._cache.take(self._reads, rows.numpy(), view))
        return self.features[view].index_select(0, rows)

    def _ahead(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """Iterate, and make the next batch meanwhile where that is work for others."""
        if self.place == "device" or (self.place, self.device.type) == ("host", "cpu"):
            yield from batches
            return
        with ThreadPoolExecutor(1, "batches") as pool:
            following = pool.submit(next, batches, None)
            while (batch := following.result()) is not None:
                following = pool.submit(next, batches, None)
                yield batch
