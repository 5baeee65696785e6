"""The encoder: from JPEGs in an archive to the cache, whole and in its parts."""

import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import h5py
import numpy as np
import torch

from mlrpl.archives.formats import open_archive
from mlrpl.bench.inputs import make_index, make_jpegs
from mlrpl.bench.measuring import seconds
from mlrpl.bench.report import Row
from mlrpl.bench.sizes import Sizes
from mlrpl.encoder.clip import Clip
from mlrpl.encoder.features import encode_batch, encode_singly, extract
from mlrpl.encoder.images import Preparation, ShardImages
from mlrpl.encoder.towers import Encoded, make_tower

BATCH = 64


class _NoPreparation(Preparation):
    """Leaves the pixels as they are, so that the forward pass stands alone."""

    def normalize(self, pixels: torch.Tensor) -> torch.Tensor:
        return pixels


@dataclass(frozen=True)
class _Parts:
    """Seconds an image of the parts of `mlrpl features`, and of open_clip's forward."""

    decode: float
    transfer: float
    forward: float
    open_clip: float
    write: float


def measure(
    sizes: Sizes, device: torch.device, threads: int, clip: Clip, folder: Path
) -> list[Row]:
    """Measure `mlrpl features` and its parts.

    Args:
        sizes: of images and encoder.
        device: where the encoder runs.
        threads: that decode and, on a CPU, encode.
        clip: the encoder.
        folder: for the archive and the features, on the disk that is meant.
    """
    photos = make_jpegs(min(sizes.images, BATCH), sizes.photo)
    names = [f"{number}.jpg" for number in range(len(photos))]
    archive = folder / "photos.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for name, photo in zip(names, photos, strict=True):
            packed.writestr(name, photo)
    preparation = Preparation(sizes.image_size)
    clip.model.visual.to(device, memory_format=torch.channels_last)
    watch = partial(seconds, device=device, repeats=sizes.repeats, budget=sizes.budget)
    parts = _measure_parts(watch, device, threads, clip, archive, names, preparation)
    whole = partial(
        extract,
        clip,
        make_index([names[i % len(names)] for i in range(sizes.images)]),
        archive,
        folder / "features.h5",
        preparation,
        device=device,
        batch_size=BATCH,
        threads=threads,
        progress=False,
    )
    an_image = watch(whole, warm_up=sizes.images > 64) / sizes.images
    kilobytes = sum(map(len, photos)) / len(photos) / 1e3
    return _rows(sizes, kilobytes, 1 / an_image, parts)


def _measure_parts(
    watch: Callable[..., float],
    device: torch.device,
    threads: int,
    clip: Clip,
    archive: Path,
    names: list[str],
    preparation: Preparation,
) -> _Parts:
    """Measure each part on one batch, which goes from the archive to the disk."""
    decode, pixels = _decode(watch, archive, names, preparation)
    if device.type == "cuda":
        pixels = pixels.pin_memory()

    def move() -> torch.Tensor:
        return preparation.normalize(pixels.to(device, non_blocking=True))

    transfer, batch = watch(move), move()
    forward, encoded = _forward(watch, device, threads, clip, batch)
    open_clip = _open_clips_forward(watch, clip, batch)
    write = _write(watch, encoded, archive.with_name("written.h5"))
    found = (decode, transfer, forward, open_clip, write)
    return _Parts(*(part / len(names) for part in found))


def _decode(
    watch: Callable[..., float],
    archive: Path,
    names: list[str],
    preparation: Preparation,
) -> tuple[float, torch.Tensor]:
    """Return the seconds that decoding a batch takes, and its pixels."""
    with open_archive(archive) as opened:
        images = ShardImages(opened, names, preparation)
        took = watch(lambda: [images[i] for i in range(len(images))])
        pixels = np.stack([images[i][0] for i in range(len(images))])
    return took, torch.from_numpy(pixels)


def _forward(
    watch: Callable[..., float],
    device: torch.device,
    threads: int,
    clip: Clip,
    batch: torch.Tensor,
) -> tuple[float, Encoded]:
    """Return the seconds that our forward pass of a batch takes, and its result."""
    tower = make_tower(clip.model.visual)
    run = partial(encode_batch, tower, _NoPreparation(batch.shape[-1]), device)
    with ThreadPoolExecutor(threads, "encode", torch.set_num_threads, (1,)) as pool:
        encode = run if device.type == "cuda" else partial(encode_singly, run, pool)
        return watch(lambda: encode(batch)), encode(batch)


def _open_clips_forward(
    watch: Callable[..., float], clip: Clip, batch: torch.Tensor
) -> float:
    """Return the seconds that open_clip's own forward pass of a batch takes."""
    cuda = batch.device.type == "cuda"
    half = torch.autocast("cuda", torch.float16, enabled=cuda)

    def forward() -> None:
        with torch.inference_mode(), half:
            clip.model.visual.forward_intermediates(
                batch, indices=1, intermediates_only=True
            )

    return watch(forward)


def _write(watch: Callable[..., float], encoded: Encoded, path: Path) -> float:
    """Return the seconds that writing the features of a batch takes."""

    def write() -> None:
        with h5py.File(path, "w") as file:
            for name, part in encoded.arrays().items():
                half = part.half().cpu().numpy()[:, None]
                data = file.create_dataset(name, half.shape, np.float16)
                data[:] = half

    return watch(write)


def _rows(sizes: Sizes, kilobytes: float, rate: float, parts: _Parts) -> list[Row]:
    """Return the table.

    Args:
        sizes: of images and encoder.
        kilobytes: of a photo.
        rate: images a second of `mlrpl features`.
        parts: of an image.
    """
    size = f"{sizes.photo[0]}x{sizes.photo[1]}, {kilobytes:.0f} kB"
    made_of = f"{sizes.model} at {sizes.image_size} px, {sizes.images} JPEGs of {size}"
    all_threads = "all threads or the GPU"
    ratio = "JPEG to cache / forward alone"
    free = "1: decoding, transfer and writing cost nothing"
    faster = parts.open_clip / parts.forward

    def each(name: str, part: float, note: str) -> Row:
        return Row(name, 1e3 * part, "ms/image", note)

    return [
        Row("JPEG to cache", rate, "images/s", made_of),
        Row("forward alone", 1 / parts.forward, "images/s", all_threads),
        Row(ratio, rate * parts.forward, "x", free),
        each("decode", parts.decode, "one process, to the input's size"),
        each("transfer", parts.transfer, "to the device, and normalise there"),
        each("forward", parts.forward, all_threads),
        each("open_clip's forward", parts.open_clip, "its map of the batch at once"),
        Row("open_clip's forward / forward", faster, "x", "in one run"),
        each("write", parts.write, "as fp16 into HDF5, the system may wait"),
    ]
