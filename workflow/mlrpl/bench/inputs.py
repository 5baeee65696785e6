"""Random inputs: methods, features, labels, JPEGs; and the configuration."""

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
import yaml
from PIL import Image

from mlrpl.bench.sizes import Sizes
from mlrpl.config.options import Options
from mlrpl.config.plan import method_options
from mlrpl.config.validation import validate
from mlrpl.data.index import Index
from mlrpl.errors import UserError
from mlrpl.methods.base import Batch
from mlrpl.methods.counting import POOLED
from mlrpl.methods.inputs import Inputs
from mlrpl.methods.method import Method
from mlrpl.text.clip_text import ClipText

CONFIG_PATH = Path(__file__).resolve().parents[3] / "config.yaml"


def load_config(path: Path = CONFIG_PATH) -> dict[str, Any]:
    """Return the checked configuration of the paper's experiment.

    Raises:
        UserError: when it cannot be read or is not valid.
    """
    try:
        return validate(yaml.safe_load(path.read_text()))
    except (OSError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"{path}: cannot be read ({reason}); run bench from a whole checkout"
        ) from error


def compared(config: dict[str, Any]) -> list[str]:
    """Return the methods of the tables and figures, without overrides."""
    found: dict[str, None] = {}
    for entry in config["experiments"].values():
        for group in (entry, entry.get("systems") or {}):
            names = (name.partition("+")[0] for name in group.get("methods", ()))
            found.update(dict.fromkeys(names))
    return [name for name in config["methods"] if name in found]


def make_options(sizes: Sizes, config: dict[str, Any], method: str) -> Options:
    """Return a method's options in the config, at the sizes of the benchmark."""
    changed = {
        **sizes.options,
        "joint_dim": sizes.joint_dim,
        "n_ctx": sizes.n_ctx,
    }
    if not sizes.own_batches:
        changed["batch_size"] = sizes.batch
    options = method_options(config, method)
    applying = {name: value for name, value in changed.items() if name in options}
    return Options.from_dict({**options, **applying})


def make_method(sizes: Sizes, options: Options, clip: ClipText) -> Method:
    """Return a method with random GloVe vectors, on the CPU."""
    generator = torch.Generator().manual_seed(0)
    vectors = torch.randn(len(clip.classes), sizes.glove, generator=generator)
    inputs = Inputs(
        map_channels=int(clip.metadata["map_channels"]),
        embed_dim=int(clip.metadata["embed_dim"]),
        class_vectors=vectors,
        clip=clip,
        known=torch.from_numpy(make_labels(sizes.batch, len(clip.classes))),
        grid=sizes.grid,
        token_positions=torch.zeros(
            1 + POOLED * sizes.locations, int(clip.metadata["embed_dim"])
        ),
    )
    return Method.from_options(options, inputs, seed=0)


def make_batch(
    sizes: Sizes, method: Method, clip: ClipText, images: int, device: torch.device
) -> Batch:
    """Return a batch of so many random images, as a method reads them."""
    channels, width = (int(clip.metadata[k]) for k in ("map_channels", "embed_dim"))
    shape = {
        "map": (images, sizes.locations, channels),
        "global": (images, width),
        "max": (images, channels),
        "tokens": (images, POOLED * sizes.locations, width),
    }[method.reads]
    features = torch.randn(shape).abs().to(device)
    further = None
    if count := method.further_views:
        further = torch.randn((count, *shape)).abs().to(device)
    labels = torch.from_numpy(make_labels(images, len(clip.classes))).to(device)
    rows = torch.arange(images, device=device)
    return Batch(features, labels, rows, further)


def make_labels(images: int, classes: int) -> np.ndarray:
    """Return labels [N, C], int8, of 1, -1 and 0; every class has a positive."""
    random = np.random.default_rng(0)
    labels = random.choice([-1, 0, 1], (images, classes), p=[0.7, 0.27, 0.03])
    labels[np.arange(classes) % images, np.arange(classes)] = 1
    return labels.astype(np.int8)


def write_cache(
    path: Path, images: int, locations: int, channels: int, embed_dim: int
) -> None:
    """Write a shard of random features in the layout of `mlrpl features`.

    The random bytes are those of 64 images again and again.
    """
    random = np.random.default_rng(0)
    block = random.standard_normal((64, 1, locations, channels), np.float32)
    block = np.abs(block).astype(np.float16)
    largest, features = (
        random.standard_normal((images, 1, width), np.float32).astype(np.float16)
        for width in (channels, embed_dim)
    )
    side = round(locations**0.5)
    with h5py.File(path, "w") as file:
        maps = file.create_dataset("map", (images, *block.shape[1:]), np.float16)
        for start in range(0, images, 64):
            stop = min(start + 64, images)
            maps[start:stop] = block[: stop - start]
        file["max"], file["global"] = np.abs(largest), features
        file.attrs.update(
            {
                "dataset": "bench",
                "split": "train",
                "encoder": "random",
                "pretrained": "random",
                "weights_sha256": "",
                "image_size": 0,
                "mean": [0.0] * 3,
                "std": [1.0] * 3,
                "interpolation": "none",
                "views": json.dumps(["full"]),
                "grid": [side, side],
                "start": 0,
                "stop": images,
                "images_total": images,
                "images_sha256": "",
            }
        )


def make_jpegs(count: int, size: tuple[int, int]) -> list[bytes]:
    """Return JPEGs of smooth colours and some noise, about as large as photographs."""
    random = np.random.default_rng(0)
    files = []
    for _ in range(count):
        coarse = Image.fromarray(random.integers(0, 256, (12, 16, 3), np.uint8))
        smooth = np.asarray(coarse.resize(size, Image.Resampling.BICUBIC), np.int16)
        noise = random.normal(0, 12, smooth.shape).astype(np.int16)
        image = Image.fromarray((smooth + noise).clip(0, 255).astype(np.uint8))
        file = io.BytesIO()
        image.save(file, "JPEG", quality=90)
        files.append(file.getvalue())
    return files


def make_index(names: Sequence[str]) -> Index:
    """Return an index of images of one class."""
    labels = np.ones((len(names), 1), np.int8)
    return Index("bench", "train", ("thing",), tuple(names), labels)
