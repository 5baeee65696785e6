"""A results folder as the workflow lays it out, made by its commands in seconds.

Pictures of coloured things, the demo's small CLIP under another name, and runs of a few
epochs. Image and text features are those of the real code from end to end.
"""

import csv
import io
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from PIL import Image, ImageDraw

from mlrpl import demo
from mlrpl.__main__ import main
from mlrpl.config.options import applying, reads_tokens

CLASSES = ("cat", "traffic light", "dog")
COLOURS = ("red", "green", "blue")
IMAGE_SIZE = 192
ENCODER = Path(demo.__file__).parent / "weights/demo-rn"
SPLITS = {"train": 24, "test": 10}
SIZES = {
    "joint_dim": 16,
    "n_ctx": 3,
    "reduce_dim": 12,
    "attention_dim": 6,
    "output_dim": 8,
    "gcn_dim": 6,
    "batch_size": 8,
    "epochs": 2,
    "lr": 0.001,
    "warmup_lr": 0.001,
    "scale": 10,
}
# Prompts of presence and absence that hardly differ: no probability is 0 or 1.
ALIKE = {"context_std": 0.001, "lr": 1e-6, "warmup_lr": 1e-6}
METHODS = {
    "sarl": {"pooled": "raw", "projection": "clip"},
    "coop": {"visual": "global", "prompts": "shared"},
    "sarl+visual=semantic_attention": {"visual": "semantic_attention"},
    "ssgrl": {"head": "ggnn", "loss": "p_bce"},
    "kggr": {"head": "kggr", "loss": "p_bce"},
    "gcn_ml": {"head": "gcn", "loss": "p_bce"},
    "linear_probe": {"head": "linear", "feature": "global"},
    "sarl+transfer=sst": {"transfer": "sst", "transfer_epoch": 1},
    "sarl+score=softmax": {"score": "softmax", "validation": 0.25},
    "dualcoop": {"head": "dualcoop", **ALIKE},
    "tai_dpt": {"head": "tai_dpt", "prompts": "shared", **ALIKE},
    "role": {"head": "linear", "loss": "role", "optimizer": "adam"},
}


def thing(shown: np.ndarray, number: int) -> bytes:
    """A picture with a square of the colour of each class that it shows, as a PNG."""
    random = np.random.default_rng(number)
    noise = random.integers(100, 156, (96, 120, 3), dtype=np.uint8)
    image = Image.fromarray(noise)
    draw = ImageDraw.Draw(image)
    for c in np.flatnonzero(shown):
        x, y = random.integers(0, 90), random.integers(0, 66)
        draw.rectangle((x, y, x + 28, y + 28), COLOURS[c])
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


@dataclass(frozen=True)
class SmallResults:
    """Where it all is.

    Attributes:
        folder: of the pictures, the encoder and the results.
    """

    folder: Path

    @property
    def results(self) -> Path:
        return self.folder / "results"

    def run(self, method: str) -> Path:
        return self.results / f"runs/small/{method}/prop=0.5/seed=0"

    def picture(self, split: str, number: int) -> Path:
        return self.folder / f"pictures/{split}/{number}.png"

    def pictures(self, split: str) -> list[str]:
        return [str(self.picture(split, i)) for i in range(SPLITS[split])]

    def probabilities(self, method: str) -> np.ndarray:
        """The probabilities [N, C] of the run's test scores of the last epoch."""
        with h5py.File(self.run(method) / "scores.h5") as file:
            ranking = file["last"][:].astype(np.float64)
            softmax = file.attrs["threshold"] < 0
        return np.exp(ranking) if softmax else 1 / (1 + np.exp(-ranking))

    def features(self, split: str, kind: str = "") -> Path:
        """A split's features, or its tokens; extracted unless they are there."""
        output = self.results / f"features/small/{split}/{kind}0.h5"
        if not output.is_file():
            index = self.results / f"data/small/{split}.h5"
            words = [*self.encoder(), "--images", self.folder / "pictures"]
            words += ["--index", index, "--device", "cpu", "--output", output]
            _do("features", *words, *(["--tokens"] if kind else []))
        return output

    def encoder(self) -> tuple[object, ...]:
        """The encoder as arguments."""
        model, weights = self.folder / "tiny.json", self.folder / "tiny.safetensors"
        return "--model", model, "--pretrained", weights, "--image-size", IMAGE_SIZE

    def train(self, method: str) -> Path:
        """Train a setting, unless it is there; return its folder."""
        if not (self.run(method) / "run.json").is_file():
            options = {**_applying(METHODS[method]), **METHODS[method]}
            data, out = self.results / "data/small", self.run(method)
            kind = "tokens/" if reads_tokens({"head": "cosine", **options}) else ""
            train, test = (self.features(split, kind) for split in SPLITS)
            _do(
                *("train", "--dataset", "small", "--method", method),
                *("--prop", 0.5, "--seed", 0, "--options", json.dumps(options)),
                *("--train-features", train, "--test-features", test),
                *("--train-index", data / "train.h5", "--test-index", data / "test.h5"),
                *("--known", data / "known/prop=0.5/seed=0.npy"),
                *("--glove", data / "glove.npy"),
                *("--clip", self.results / "clip/small.safetensors"),
                *("--device", "cpu", "--output-dir", out),
            )
            _do(
                *("evaluate", "--dataset", "small", "--method", method),
                *("--prop", 0.5, "--seed", 0, "--scores", out / "scores.h5"),
                *("--index", data / "test.h5", "--output", out / "metrics.json"),
            )
        return self.run(method)


def make(folder: Path) -> SmallResults:
    """Make pictures and encoder, and all that a training starts from."""
    small = SmallResults(folder)
    random = np.random.default_rng(0)
    rows = []
    for split, count in SPLITS.items():
        (folder / "pictures" / split).mkdir(parents=True)
        shown = random.random((count, len(CLASSES))) < 0.5
        shown[: len(CLASSES)] |= np.eye(len(CLASSES), dtype=bool)
        for i, labels in enumerate(shown):
            small.picture(split, i).write_bytes(thing(labels, 100 * count + i))
            rows.append([f"{split}/{i}.png", split, *labels.astype(int)])
    with (folder / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["image", "split", *CLASSES], *rows])
    words = " ".join(CLASSES).split()
    vectors = random.standard_normal((len(words), 300)).round(3)
    lines = (" ".join(map(str, [w, *v])) for w, v in zip(words, vectors, strict=True))
    (folder / "glove.txt").write_text("\n".join(lines) + "\n")
    model, weights = folder / "tiny.json", folder / "tiny.safetensors"
    for path in (model, weights):
        shutil.copy(ENCODER.with_suffix(path.suffix), path)
    results, data = small.results, small.results / "data/small"
    for split in SPLITS:
        _do(
            *("index", "csv", "--images", folder / "pictures", "--select", split),
            *("--labels", folder / "labels.csv", "--dataset", "small"),
            *("--split", split, "--output", data / f"{split}.h5"),
        )
        small.features(split)
    index = ("--index", data / "train.h5")
    clip = results / "clip/small.safetensors"
    _do("encoder", *small.encoder(), *index, "--output", clip)
    vectors = folder / "glove.txt"
    _do("glove", "--vectors", vectors, *index, "--output", data / "glove.npy")
    known = data / "known/prop=0.5/seed=0.npy"
    _do("drop", *index, "--prop", 0.5, "--seed", 0, "--output", known)
    return small


def _applying(chosen: dict) -> dict:
    found = applying(chosen)
    return {name: value for name, value in SIZES.items() if name in found}


def _do(*words: object) -> None:
    assert main([str(word) for word in words]) == 0, words[0]
