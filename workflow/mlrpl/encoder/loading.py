"""Batches of decoded images out of several processes, whatever shared memory there is.

A batch of 64 images of 448 px is 38.5 MB, and two of them wait for each process. Torch
hands them over in shared memory (/dev/shm), of which a container has 64 MB by default;
a batch that does not fit there goes through a pipe, which copies it twice more.
"""

import multiprocessing
import sys
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, get_worker_info

from mlrpl.encoder.images import ShardImages


def batches(
    images: ShardImages, batch_size: int, processes: int, pin_memory: bool = False
) -> Iterator[Tensor | str]:
    """Iterate over batches of images, in order.

    Args:
        images: what to decode.
        batch_size: images in a batch.
        processes: how many decode; 1 decodes in this one.
        pin_memory: whether batches are put where a GPU copies them from faster.

    Yields:
        pixels, uint8 [B, V, S, S, 3], or the message about the first image of the
        batch that cannot be used.
    """
    workers = processes if processes > 1 else 0
    try:  # a probe: the loader itself would fail half made
        if workers:
            [multiprocessing.Semaphore() for _ in range(4 * workers + 16)]
    except OSError as error:
        print(
            f"no processes can be started to decode images ({error.strerror}: is "
            "/dev/shm there, and not full?); this one decodes them all",
            file=sys.stderr,
        )
        workers = 0
    loader = DataLoader(
        images,
        batch_size=batch_size,
        num_workers=workers,
        collate_fn=_collate,
        pin_memory=pin_memory,
    )
    for batch in loader:
        yield torch.from_numpy(batch) if isinstance(batch, np.ndarray) else batch


def _collate(batch: Sequence[np.ndarray | str]) -> Tensor | np.ndarray | str:
    """Return the pixels, or the first message.

    A tensor goes to the main process in shared memory, an array through a pipe. Torch
    itself would ask for shared memory in a thread whose failure nobody hears of.
    """
    for item in batch:
        if isinstance(item, str):
            return item
    pixels = np.stack(batch)
    if get_worker_info() is None:
        return torch.from_numpy(pixels)
    try:
        return torch.from_numpy(pixels).share_memory_()
    except RuntimeError:
        return pixels
