"""A complete set of tiny input files of one training, with random contents."""

import json
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import torch
from safetensors.torch import save_file

from mlrpl.data.index import Index

CLASSES = ("cat", "traffic light", "dog")
WIDTH, LAYERS, HEADS, CONTEXT, DIM, VOCABULARY = 16, 2, 4, 77, 12, 50
CHANNELS, GRID, GLOVE = 10, 3, 5
SOT, EOT, PERIOD = 48, 49, 7
# "traffic light" has two tokens, so that the ends of text differ.
CLASS_TOKENS = [[3, -1], [4, 5], [6, -1]]
# Options with which a training on these files takes a moment, and learns.
FAST = {
    "joint_dim": 16,
    "n_ctx": 4,
    "batch_size": 16,
    "epochs": 6,
    "lr": 0.05,
    "warmup_lr": 0.01,
    "scale": 10,
    "reduce_dim": 12,
    "attention_dim": 6,
    "output_dim": 8,
    "gcn_dim": 6,
    "prior_dim": 6,
    "prior_top": 2,
    "pair_dim": 6,
    "pair_hidden": 8,
    "transfer_epoch": 1,
    "memory_size": 4,
    "prototypes": 3,
    "prototype_every": 2,
}


def clip_tensors(seed: int = 0) -> dict[str, torch.Tensor]:
    """Random tensors of a text tower, named and shaped as the encoder exports them."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape, scale=0.3):
        return scale * torch.randn(shape, generator=generator)

    tensors = {
        "token_embedding": draw(VOCABULARY, WIDTH),
        "positional_embedding": draw(CONTEXT, WIDTH),
        "ln_final.weight": 1 + draw(WIDTH),
        "ln_final.bias": draw(WIDTH),
        "text_projection": draw(WIDTH, DIM),
        "logit_scale": torch.tensor(20.0),
        "class_tokens": torch.tensor(CLASS_TOKENS),
        "visual_projection": draw(CHANNELS, DIM),
        "visual_projection_bias": draw(DIM),
    }
    for i in range(LAYERS):
        block = {
            "ln_1.weight": 1 + draw(WIDTH),
            "ln_1.bias": draw(WIDTH),
            "attn.in_proj_weight": draw(3 * WIDTH, WIDTH),
            "attn.in_proj_bias": draw(3 * WIDTH),
            "attn.out_proj.weight": draw(WIDTH, WIDTH),
            "attn.out_proj.bias": draw(WIDTH),
            "ln_2.weight": 1 + draw(WIDTH),
            "ln_2.bias": draw(WIDTH),
            "mlp.c_fc.weight": draw(4 * WIDTH, WIDTH),
            "mlp.c_fc.bias": draw(4 * WIDTH),
            "mlp.c_proj.weight": draw(WIDTH, 4 * WIDTH),
            "mlp.c_proj.bias": draw(WIDTH),
        }
        tensors |= {f"blocks.{i}.{name}": tensor for name, tensor in block.items()}
    return tensors


def write_clip(path: Path, activation: str = "quick_gelu", seed: int = 0) -> Path:
    """Write a clip.safetensors."""
    metadata = {
        "classes": json.dumps(CLASSES),
        "names": json.dumps(CLASSES),
        "encoder": "tiny",
        "pretrained": "none",
        "weights_sha256": "a" * 64,
        "text_sha256": "b" * 64,
        "activation": activation,
        "heads": str(HEADS),
        "layers": str(LAYERS),
        "layer_norm_eps": "1e-05",
        "sot": str(SOT),
        "eot": str(EOT),
        "period": str(PERIOD),
        "map_channels": str(CHANNELS),
        "embed_dim": str(DIM),
    }
    save_file(clip_tensors(seed), path, metadata)
    return path


def write_features(
    folder: Path, index: Index, maps: np.ndarray, shards: int = 2
) -> list[Path]:
    """Write feature shards of maps [N, V, L, K]; the global feature is a map's mean."""
    paths = []
    views = ["full", "flip"][: maps.shape[1]]
    for k in range(shards):
        start, stop = (len(maps) * k // shards, len(maps) * (k + 1) // shards)
        path = folder / index.split / f"{k}.h5"
        path.parent.mkdir(parents=True, exist_ok=True)
        with h5py.File(path, "w") as file:
            part = maps[start:stop].astype(np.float16)
            file["map"] = part
            file["max"] = part.max(axis=2)
            file["global"] = part.mean(axis=2)[..., :1].repeat(DIM, axis=-1)
            file["tokens"] = part[..., np.arange(DIM) % CHANNELS]
            file["token_positions"] = np.linspace(
                -1, 1, (1 + GRID**2) * DIM, dtype=np.float32
            ).reshape(-1, DIM)
            file.attrs.update(
                {
                    "dataset": index.dataset,
                    "split": index.split,
                    "encoder": "tiny",
                    "pretrained": "none",
                    "weights_sha256": "a" * 64,
                    "image_size": 96,
                    "mean": [0.5] * 3,
                    "std": [0.5] * 3,
                    "interpolation": "bicubic",
                    "views": json.dumps(views),
                    "grid": [GRID, GRID],
                    "start": start,
                    "stop": stop,
                    "images_total": len(maps),
                    "images_sha256": index.hash(),
                }
            )
        paths.append(path)
    return paths


@dataclass(frozen=True)
class Files:
    """Where the files of a tiny training lie."""

    train_features: list[str]
    test_features: list[str]
    train_index: str
    test_index: str
    known: str
    glove: str
    clip: str

    def arguments(self) -> list[str]:
        """The files as arguments of `mlrpl train`."""
        arguments: list[str] = []
        for name, value in vars(self).items():
            values = value if isinstance(value, list) else [value]
            arguments += [f"--{name.replace('_', '-')}", *values]
        return arguments


def write_files(folder: Path, images: int = 60, views: int = 1) -> Files:
    """Write everything that one training reads.

    An image with class c has at one random location the class's own direction added to
    noise, so that there is something to learn.
    """
    random = np.random.default_rng(0)
    directions = 4 * random.standard_normal((len(CLASSES), CHANNELS))
    indices, features = {}, {}
    for split, count in (("train", images), ("test", images // 2)):
        labels = np.where(random.random((count, len(CLASSES))) < 0.4, 1, -1)
        maps = random.standard_normal((count, views, GRID**2, CHANNELS))
        for n, c in np.argwhere(labels > 0):
            maps[n, :, random.integers(GRID**2)] += directions[c]
        index = Index(
            dataset="tiny",
            split=split,
            classes=CLASSES,
            images=tuple(f"{split}/{i}.jpg" for i in range(count)),
            labels=labels.astype(np.int8),
        )
        indices[split] = folder / f"{split}.h5"
        index.save(indices[split])
        features[split] = [str(p) for p in write_features(folder, index, maps)]
        if split == "train":
            known = np.where(random.random(labels.shape) < 0.5, labels, 0)
            np.save(folder / "known.npy", known.astype(np.int8))
    vectors = random.standard_normal((len(CLASSES), GLOVE)).astype(np.float32)
    np.save(folder / "glove.npy", vectors)
    return Files(
        train_features=features["train"],
        test_features=features["test"],
        train_index=str(indices["train"]),
        test_index=str(indices["test"]),
        known=str(folder / "known.npy"),
        glove=str(folder / "glove.npy"),
        clip=str(write_clip(folder / "clip.safetensors")),
    )
