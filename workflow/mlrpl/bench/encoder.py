"""The encoder: from JPEGs in an archive to the cache, whole and in its parts."""

import zipfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import h5py
import numpy as np
import torch

from mlrpl.bench.inputs import make_index, make_jpegs
from mlrpl.bench.measuring import seconds
from mlrpl.bench.report import Row
from mlrpl.bench.sizes import Sizes
from mlrpl.archives.formats import open_archive
from mlrpl.encoder.clip import Clip
from mlrpl.encoder.features import encode_batch, encode_singly, extract
from mlrpl.encoder.images import Preparation, ShardImages
from mlrpl.encoder.towers import make_tower

BATCH = 64


class _NoPreparation(Preparation):
    """Leaves the pixels as they are, so that the forward pass stands alone."""

    def normalize(self, pixels: torch.Tensor) -> torch.Tensor:
        return pixels


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
    archive = folder / "photos.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for number, photo in enumerate(photos):
            packed.writestr(f"{number}.jpg", photo)
    names = [f"{i % len(photos)}.jpg" for i in range(sizes.images)]
    index, preparation = make_index(names), Preparation(sizes.image_size)

    def whole() -> None:
        extract(
            clip,
            index,
            archive,
            folder / "features.h5",
            preparation,
            device=device,
            batch_size=BATCH,
            threads=threads,
            progress=False,
        )

    visual = clip.model.visual.to(device, memory_format=torch.channels_last)
    tower = make_tower(visual)
    with open_archive(archive) as opened:
        images = ShardImages(opened, names[: len(photos)], preparation)
        decode = seconds(
            lambda: [images[i] for i in range(len(images))],
            device,
            sizes.repeats,
            sizes.budget,
        ) / len(photos)
        pixels = torch.from_numpy(np.stack([images[i][0] for i in range(len(images))]))
    if device.type == "cuda":
        pixels = pixels.pin_memory()

    def transfer() -> torch.Tensor:
        return preparation.normalize(pixels.to(device, non_blocking=True))

    limits = (device, sizes.repeats, sizes.budget)
    moved = seconds(transfer, *limits) / len(photos)
    ready = transfer()
    run = partial(encode_batch, tower, _NoPreparation(sizes.image_size), device)
    with ThreadPoolExecutor(threads, "encode", torch.set_num_threads, (1,)) as pool:
        encode = run if device.type == "cuda" else partial(encode_singly, run, pool)
        forward = seconds(lambda: encode(ready), *limits) / len(photos)
        encoded = encode(ready)

    fp16 = torch.autocast("cuda", torch.float16, enabled=device.type == "cuda")

    def open_clips() -> None:
        with torch.inference_mode(), fp16:
            visual.forward_intermediates(ready, indices=1, intermediates_only=True)

    plain = seconds(open_clips, *limits) / len(photos)

    def write() -> None:
        with h5py.File(folder / "written.h5", "w") as file:
            for name, part in (("map", encoded.map), ("global", encoded.feature)):
                half = part.half().cpu().numpy()[:, None]
                data = file.create_dataset(name, half.shape, np.float16)
                data[:] = half

    wrote = seconds(write, *limits) / len(photos)
    images_a_second = sizes.images / seconds(whole, *limits, warm_up=sizes.images > 64)
    side, count = sizes.image_size, f"{sizes.images} JPEGs"
    kilobytes = sum(map(len, photos)) / len(photos) / 1e3
    size = f"{sizes.photo[0]}x{sizes.photo[1]}, {kilobytes:.0f} kB"
    model = f"{sizes.model} at {side} px"
    return [
        Row(
            "JPEG to cache", images_a_second, "images/s", f"{model}, {count} of {size}"
        ),
        Row("forward alone", 1 / forward, "images/s", "all threads or the GPU"),
        Row(
            "JPEG to cache / forward alone",
            images_a_second * forward,
            "x",
            "1: decoding, transfer and writing cost nothing",
        ),
        Row("decode", 1e3 * decode, "ms/image", "one process, to the input's size"),
        Row("transfer", 1e3 * moved, "ms/image", "to the device, and normalise there"),
        Row("forward", 1e3 * forward, "ms/image", "all threads or the GPU"),
        Row(
            "open_clip's forward",
            1e3 * plain,
            "ms/image",
            "its map of the batch at once",
        ),
        Row("open_clip's forward / forward", plain / forward, "x", "in one run"),
        Row("write", 1e3 * wrote, "ms/image", "as fp16 into HDF5, the system may wait"),
    ]
