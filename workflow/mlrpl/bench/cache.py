"""The feature cache: reading speed in order and at random, beside the disk's own."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from mlrpl.bench.inputs import write_cache
from mlrpl.bench.measuring import seconds
from mlrpl.bench.report import Row
from mlrpl.bench.sizes import Sizes
from mlrpl.training.feature_cache import FeatureCache

BLOCK = 8 * 2**20  # bytes that the plain sequential reading takes at once


def measure(sizes: Sizes, channels: int, embed_dim: int, folder: Path) -> list[Row]:
    """Measure the reading of a cache file, out of memory and from the disk.

    Args:
        sizes: of the maps, and how many.
        channels: K.
        embed_dim: D.
        folder: for the cache, on the disk that is meant.
    """
    path = folder / "cache.h5"
    write_cache(path, sizes.cached, sizes.locations, channels, embed_dim)
    with path.open("rb") as file:
        os.fsync(file.fileno())
    cache = FeatureCache([path])
    row = sizes.locations * channels * 2
    order = np.random.default_rng(0).permutation(sizes.cached)
    size = path.stat().st_size
    readers: dict[str, tuple[Callable[[], object], int]] = {
        "sequential": (cache.read_maps, row * sizes.cached),
        "sequential, plain reading": (lambda: _read(path, BLOCK, None), size),
        "random": (lambda: cache.take("map", order), row * sizes.cached),
        "random, plain reading": (
            lambda: _read(path, row, order * row),
            row * sizes.cached,
        ),
    }
    rows = []
    evicts = hasattr(os, "posix_fadvise")
    for where in ("from disk", "from memory"):
        if where == "from disk" and not evicts:
            continue
        for name, (read, count) in readers.items():
            if where == "from disk":
                value = _cold(read, path, sizes)
                note = "evicted before; plain reading is what the disk gives"
            else:
                device = torch.device("cpu")
                value = seconds(read, device, sizes.repeats, sizes.budget)
                note = "the file is in the system's memory"
            rows.append(Row(f"{name}, {where}", count / value / 1e9, "GB/s", note))
    megabytes = Row("size", size / 1e6, "MB", f"{sizes.cached} maps of {row:,} bytes")
    return [*rows, megabytes]


def _cold(read: Callable[[], object], path: Path, sizes: Sizes) -> float:
    """Return the median seconds of a reading, the file evicted before each."""
    times = []
    for _ in range(sizes.repeats):
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        device = torch.device("cpu")
        times.append(seconds(read, device, 1, sizes.budget, warm_up=False))
    return float(np.median(times))


def _read(path: Path, size: int, starts: np.ndarray | None) -> None:
    """Read a file by the system's calls: in order, or pieces at these places."""
    buffer = bytearray(size)
    with path.open("rb", buffering=0) as file:
        if starts is None:
            while file.readinto(buffer):
                pass
            return
        for start in starts.tolist():
            file.seek(start)
            file.readinto(buffer)
