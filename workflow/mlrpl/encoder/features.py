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
from tqdm import tqdm

from mlrpl.archives.formats import open_archive
from mlrpl.data.index import Index
from mlrpl.encoder.clip import Clip
from mlrpl.encoder.images import Preparation, ShardImages
from mlrpl.encoder.loading import batches
from mlrpl.encoder.tokens import EncodedTokens, TokenTower, make_reader
from mlrpl.encoder.towers import Encoded, Tower
from mlrpl.encoder.writer import ShardWriter
from mlrpl.errors import UserError
from mlrpl.runtime import hdf5

AnyEncoded = Encoded | EncodedTokens


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
    tokens: bool = False,
) -> None:
    """Write the features of one shard; the file is whole or absent.

    HDF5 with `map` fp16 [n, V, L, K], `global` fp16 [n, V, D] and `max` fp16 [n, V, K]
    (`towers.Encoded`), contiguous, a checksum of each row, and the provenance as
    attributes. With `tokens`, in the place of these arrays `tokens` fp16 [n, V, T, D]
    and `token_positions` fp32 [1 + T, D] (`tokens.TokenTower`). Equal arguments give
    equal bytes on one machine.

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
        tokens: extract the tokens and nothing else.

    Raises:
        UserError: an image that is missing or corrupt, or a feature that fp16 cannot
            hold.
    """
    start, stop = shard_range(len(index.images), shard, shards)
    names = index.images[start:stop]
    device = torch.device(device)
    visual = clip.model.visual.to(device, memory_format=torch.channels_last)
    tower = make_reader(visual, tokens)
    run = partial(encode_batch, tower, preparation, device)
    with (
        open_archive(images) as archive,
        hdf5.writing(output) as file,
        ThreadPoolExecutor(threads, "encode", torch.set_num_threads, (1,)) as pool,
        tqdm(
            total=len(names),
            desc=f"{index.dataset} {index.split} {shard + 1}/{shards}",
            unit="image",
            mininterval=0.2 if sys.stderr.isatty() else 20,
            disable=not progress,
        ) as bar,
    ):
        loader = batches(
            ShardImages(archive, names, preparation),
            batch_size,
            threads,
            pin_memory=device.type == "cuda",
        )
        encode: Callable[[Tensor], AnyEncoded] = partial(encode_singly, run, pool)
        if device.type == "cuda":
            encode = InParts(run, batch_size)
        side = preparation.image_size
        black = run(torch.zeros(1, side, side, 3, dtype=torch.uint8))
        _describe(file, clip, index, preparation)
        file.attrs["grid"] = black.grid
        file.attrs["start"], file.attrs["stop"] = start, stop
        file.attrs["precision"] = "fp16" if device.type == "cuda" else "fp32"
        shapes = {name: part.shape[1:] for name, part in black.arrays().items()}
        if isinstance(tower, TokenTower):
            file["token_positions"] = tower.positions(black.grid).numpy()
        views, row = len(preparation.views), 0
        with ShardWriter(file, names, shapes, views, clip.name) as writer:
            # The loader's processes start here, before the threads that encode.
            for batch in loader:
                if isinstance(batch, str):
                    raise UserError(batch)
                for view in range(views):
                    writer.write(row, view, encode(batch[:, view]))
                row += len(batch)
                bar.update(len(batch))


def encode_batch(
    tower: Tower | TokenTower,
    preparation: Preparation,
    device: torch.device,
    pixels: Tensor,
) -> AnyEncoded:
    """Encode uint8 [B, S, S, 3] as one batch."""
    cuda = device.type == "cuda"
    with torch.inference_mode(), torch.autocast("cuda", torch.float16, enabled=cuda):
        pixels = pixels.to(device, non_blocking=True)
        return tower.encode(preparation.normalize(pixels))


def encode_singly(
    run: Callable[[Tensor], AnyEncoded], pool: ThreadPoolExecutor, pixels: Tensor
) -> AnyEncoded:
    """Encode each image by itself, one in each thread."""
    return joined(list(pool.map(run, pixels.split(1))))


class InParts:
    """Encodes a batch at once, or in parts as small as the GPU's memory asks for."""

    def __init__(self, run: Callable[[Tensor], AnyEncoded], size: int):
        """Begin with parts of `size` images."""
        self._run, self.size = run, size

    def __call__(self, pixels: Tensor) -> AnyEncoded:
        """Encode uint8 [B, S, S, 3].

        Raises:
            UserError: when there is no room for a single image.
        """
        while True:
            try:
                return joined([self._run(part) for part in pixels.split(self.size)])
            except torch.OutOfMemoryError:
                if self.size == 1:
                    raise UserError(
                        "device: the GPU has no memory free for one image; end other "
                        "programs there, or set device to cpu"
                    ) from None
            self.size = (min(self.size, len(pixels)) + 1) // 2
            torch.cuda.empty_cache()
            print(
                f"the GPU's memory is too small for the batch; {self.size} images at "
                "once from here on",
                file=sys.stderr,
            )


def joined(parts: Sequence[AnyEncoded]) -> AnyEncoded:
    """Return the features of consecutive parts of a batch as one."""
    if len(parts) == 1:
        return parts[0]
    return type(parts[0])(
        *(
            torch.cat(field) if torch.is_tensor(field[0]) else field[0]
            for field in zip(*parts, strict=True)
        )
    )


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
    file.attrs["interpolation"] = preparation.resampling
    file.attrs["views"] = json.dumps(list(preparation.views))
    file.attrs["images_total"] = len(index.images)
    file.attrs["images_sha256"] = index.hash()
