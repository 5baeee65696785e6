"""The writing side of the feature cache: one shard's arrays, in a thread of its own."""

from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

import h5py
import numpy as np
import torch
from torch import Tensor

from mlrpl.encoder.tokens import EncodedTokens
from mlrpl.encoder.towers import Encoded
from mlrpl.errors import UserError
from mlrpl.runtime.hdf5 import CHECKSUMS, checksums

# Batches that may wait to be written; what is encoded meanwhile stays in memory.
WAITING = 2


class ShardWriter:
    """Writes a shard's features, fp16 [n, V, ...], while more is encoded.

    A context manager: its end waits until all is written.
    """

    def __init__(
        self,
        file: h5py.File,
        images: Sequence[str],
        shapes: Mapping[str, tuple[int, ...]],
        views: int,
        encoder: str,
    ):
        """Make the arrays, contiguous.

        Args:
            file: the open HDF5 file.
            images: names of the shard's images, for messages.
            shapes: of one image's features, by the names that they have in the file.
            views: V.
            encoder: the encoder's name, for messages.
        """
        self._images, self._encoder = images, encoder
        self._arrays = {
            name: file.create_dataset(name, (len(images), views, *shape), np.float16)
            for name, shape in shapes.items()
        }
        self._sums = {
            name: file.create_dataset(name + CHECKSUMS, (len(images), views), np.uint32)
            for name in shapes
        }
        self._thread = ThreadPoolExecutor(1, "write")
        self._waiting: deque[Future[None]] = deque()

    def __enter__(self) -> "ShardWriter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            while kind is None and self._waiting:
                self._waiting.popleft().result()
        finally:
            self._thread.shutdown(cancel_futures=True)

    def write(self, row: int, view: int, encoded: Encoded | EncodedTokens) -> None:
        """Write a batch's features from row `row` of the shard on, a little later.

        Raises:
            UserError: when fp16 cannot hold a feature, of this batch or one before.
        """
        halves = {
            name: (half := part.half(), half.flatten(1).isfinite().all(1))
            for name, part in encoded.arrays().items()
        }
        ready = None
        if next(iter(encoded.arrays().values())).is_cuda:
            # Begun now, behind this batch's kernels and before the next one's.
            halves = {
                name: (
                    half.to("cpu", non_blocking=True),
                    finite.to("cpu", non_blocking=True),
                )
                for name, (half, finite) in halves.items()
            }
            ready = torch.cuda.Event()
            ready.record()
        while len(self._waiting) >= WAITING:
            self._waiting.popleft().result()
        self._waiting.append(self._thread.submit(self._store, row, view, halves, ready))

    def _store(
        self,
        row: int,
        view: int,
        halves: Mapping[str, tuple[Tensor, Tensor]],
        ready: "torch.cuda.Event | None",
    ) -> None:
        if ready is not None:
            ready.synchronize()
        for name, (half, finite) in halves.items():
            if not finite.all():
                image = self._images[row + int((~finite).nonzero()[0, 0])]
                raise UserError(
                    f"encoder model {self._encoder}: the {name} features of {image} "
                    "are beyond fp16 or not finite; check the checkpoint, mean and std"
                )
            rows = slice(row, row + len(half))
            self._arrays[name][rows, view] = half.numpy()
            self._sums[name][rows, view] = checksums(half.numpy())
