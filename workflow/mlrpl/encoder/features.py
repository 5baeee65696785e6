"""Frozen image features of one shard of a split, into HDF5.

Images are read in place out of their archive. Every image passes the encoder once per
view, in batches; maps and image features are kept as fp16. On a CUDA device the encoder
runs under autocast in fp16, not bf16: CLIP's published weights are fp16, and fp16 keeps
eleven bits of what is stored as fp16 anyway. On a CPU it runs in fp32, an image a
thread: a large batch costs more in fresh memory than it saves, threads that share an
image wait for each other at every layer, and so no image's features depend on another
image, on the number of threads or on the shard.
"""

import json
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from os import PathLike

import h5py
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader
from tqdm import tqdm

from mlrpl.data.archives import open_archive
from mlrpl.data.index import Index
from mlrpl.encoder.clip import Clip
from mlrpl.encoder.images import INTERPOLATION, Preparation, ShardImages
from mlrpl.encoder.towers import Encoded, Tower, make_tower
from mlrpl.errors import UserError
from mlrpl.storage import atomic_path


def shard_range(images: int, shard: int, shards: int) -> tuple[int, int]:
    """Return the first row of a shard and the one after its last.

    Raises:
        UserError: when there is no such shard.
    """
    if not 0 <= shard < shards:
        raise UserError(
            f"shard {shard}: there are {shards}, counted from 0; give one of them"
        )
    return shard * images // shards, (shard + 1) * images // shards


def extract(
    clip: Clip,
    index: Index,
    images: str | PathLike,
    output: str | PathLike,
    preparation: Preparation,
    *,
    shard: int = 0,
    shards: int = 1,
    device: torch.device | str = "cpu",
    batch_size: int = 64,
    threads: int = 1,
    progress: bool = True,
) -> None:
    """Write the features of one shard; the file is whole or absent.

    HDF5 with `map` fp16 [n, V, L, K] and `global` fp16 [n, V, D], contiguous, and the
    provenance as attributes. Equal arguments give equal bytes on one machine.

    Args:
        clip: the encoder.
        index: the split.
        images: the archive or folder of its images.
        output: the HDF5 file.
        preparation: how images are prepared.
        shard: which part of the split, counted from 0.
        shards: how many parts there are.
        device: where the encoder runs.
        batch_size: images that are read, and on a GPU encoded, at once.
        threads: processes that decode (1 decodes in this one), and on a CPU threads
            that encode.
        progress: show a bar on stderr.

    Raises:
        UserError: an image that is missing or corrupt, or a feature that fp16 cannot
            hold.
    """
    start, stop = shard_range(len(index.images), shard, shards)
    names = index.images[start:stop]
    device = torch.device(device)
    visual = clip.model.visual.to(device, memory_format=torch.channels_last)
    run = partial(encode_batch, make_tower(visual), preparation, device)
    with (
        open_archive(images) as archive,
        atomic_path(output) as temporary,
        ThreadPoolExecutor(threads, "encode", torch.set_num_threads, (1,)) as pool,
        h5py.File(temporary, "w") as file,
        tqdm(
            total=len(names),
            desc=f"{index.dataset} {index.split} {shard + 1}/{shards}",
            unit="image",
            mininterval=0.2 if sys.stderr.isatty() else 20,
            disable=not progress,
        ) as bar,
    ):
        loader = DataLoader(
            ShardImages(archive, names, preparation),
            batch_size=batch_size,
            num_workers=threads if threads > 1 else 0,
            collate_fn=_collate,
            pin_memory=device.type == "cuda",
        )
        encode = run if device.type == "cuda" else partial(encode_singly, run, pool)
        arrays, grid = _create(file, run, preparation, len(names))
        _describe(file, clip, index, preparation)
        file.attrs["grid"] = grid
        file.attrs["start"], file.attrs["stop"] = start, stop
        file.attrs["precision"] = "fp16" if device.type == "cuda" else "fp32"
        row = 0
        # The loader's processes start here, before the threads, and end with the loop.
        for batch in loader:
            if isinstance(batch, str):
                raise UserError(batch)
            rows = names[row : row + len(batch)]
            for view in range(batch.shape[1]):
                encoded = encode(batch[:, view])
                for name, values in (("map", encoded.map), ("global", encoded.feature)):
                    part = _half(values, name, rows, clip)
                    arrays[name][row : row + len(batch), view] = part
            row += len(batch)
            bar.update(len(batch))


def _collate(batch: list[np.ndarray | str]) -> Tensor | str:
    """Return the pixels, uint8 [B, V, S, S, 3], or the first message."""
    for item in batch:
        if isinstance(item, str):
            return item
    return torch.from_numpy(np.stack(batch))


def encode_batch(
    tower: Tower, preparation: Preparation, device: torch.device, pixels: Tensor
) -> Encoded:
    """Encode uint8 [B, S, S, 3] as one batch."""
    cuda = device.type == "cuda"
    with torch.inference_mode(), torch.autocast("cuda", torch.float16, enabled=cuda):
        pixels = pixels.to(device, non_blocking=True)
        return tower.encode(preparation.normalize(pixels))


def encode_singly(
    run: Callable[[Tensor], Encoded], pool: ThreadPoolExecutor, pixels: Tensor
) -> Encoded:
    """Encode each image by itself, one a thread."""
    parts = list(pool.map(run, pixels.split(1)))
    return Encoded(
        torch.cat([part.map for part in parts]),
        parts[0].grid,
        torch.cat([part.feature for part in parts]),
    )


def _half(values: Tensor, name: str, rows: Sequence[str], clip: Clip) -> np.ndarray:
    """Return values as fp16; refuse those that it cannot hold."""
    half = values.half()
    finite = half.flatten(1).isfinite().all(1)
    if not finite.all():
        image = rows[int((~finite).nonzero()[0, 0])]
        raise UserError(
            f"encoder model {clip.name}: the {name} features of {image} are beyond "
            "fp16 or not finite; check the checkpoint, mean and std"
        )
    return half.cpu().numpy()


def _create(
    file: h5py.File,
    encode: Callable[[Tensor], Encoded],
    preparation: Preparation,
    count: int,
) -> tuple[dict[str, h5py.Dataset], tuple[int, int]]:
    """Make the arrays, their shapes from a black image, and return the map's grid."""
    side, views = preparation.image_size, len(preparation.views)
    encoded = encode(torch.zeros(1, side, side, 3, dtype=torch.uint8))
    shapes = {"map": encoded.map.shape[1:], "global": encoded.feature.shape[1:]}
    arrays = {
        name: file.create_dataset(name, (count, views, *shape), np.float16)
        for name, shape in shapes.items()
    }
    return arrays, encoded.grid


def _describe(
    file: h5py.File, clip: Clip, index: Index, preparation: Preparation
) -> None:
    file.attrs["dataset"] = index.dataset
    file.attrs["split"] = index.split
    file.attrs["encoder"] = clip.name
    file.attrs["pretrained"] = clip.pretrained
    file.attrs["weights_sha256"] = clip.weights_sha256
    file.attrs["image_size"] = preparation.image_size
    file.attrs["mean"] = np.array(preparation.mean, np.float64)
    file.attrs["std"] = np.array(preparation.std, np.float64)
    file.attrs["interpolation"] = INTERPOLATION
    file.attrs["views"] = json.dumps(list(preparation.views))
    file.attrs["images_total"] = len(index.images)
    file.attrs["images_sha256"] = index.hash()
