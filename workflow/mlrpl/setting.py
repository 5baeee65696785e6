"""One setting: its input files, checked against each other, and its output files."""

import csv
import json
import os
import platform
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import h5py
import numpy as np
import torch
from safetensors.torch import save

from mlrpl.checkpoints import Checkpoint, fingerprint
from mlrpl.clip_text import ClipText
from mlrpl.data.index import Index
from mlrpl.device import choose_device
from mlrpl.encoder.cache import FeatureCache
from mlrpl.errors import UserError
from mlrpl.model import Recognizer, precision_on
from mlrpl.options import Options
from mlrpl.scores import THRESHOLDS
from mlrpl.storage import atomic_path
from mlrpl.training import Result, train
from mlrpl.training_data import Split
from mlrpl.visual import VISUAL, VisualInputs

PACKAGE = Path(__file__).parent


@dataclass(frozen=True)
class Setting:
    """What one run is, and the files that it starts from."""

    dataset: str
    method: str
    prop: float
    seed: int
    options: Options
    train_features: Sequence[str]
    test_features: Sequence[str]
    train_index: str
    test_index: str
    known: str
    glove: str
    clip: str
    context: str | None = None


def train_setting(
    setting: Setting, output_dir: str | os.PathLike, device: str, threads: int
) -> None:
    """Train a setting and write weights, history, scores and `run.json`.

    They are written when the training has ended; `run.json` comes last. A training that
    is killed before leaves `checkpoint.pt`, from which the next call goes on if all is
    as it was: options, inputs, code, versions, device.

    Raises:
        UserError: when files are missing, damaged or do not belong together.
    """
    started = time.perf_counter()
    torch.set_num_threads(threads)
    target = choose_device(device, deterministic=True)
    options = setting.options

    clip = ClipText(setting.clip)
    train_index, test_index = (
        Index.load(setting.train_index),
        Index.load(setting.test_index),
    )
    check_classes(setting, clip, train_index, test_index)
    known = read_array(setting.known, train_index.labels.shape, "drop")
    vectors = read_array(setting.glove, (len(clip.classes), None), "glove")
    warn_without_positives(setting, known, train_index.classes)
    train_cache = FeatureCache(setting.train_features)
    test_cache = FeatureCache(setting.test_features)
    train_cache.check(train_index, clip.metadata)
    test_cache.check(test_index, clip.metadata)

    reads = VISUAL[options.visual].reads
    training = Split(train_cache, known, reads, target)
    test = Split(test_cache, test_index.labels, reads, target, views=1)
    inputs = VisualInputs(
        map_channels=training.channels,
        embed_dim=clip.tensor("text_projection").shape[1],
        class_vectors=torch.from_numpy(vectors.astype(np.float32)),
        clip=clip,
    )
    context = read_context(setting, clip)
    model = Recognizer(options, inputs, context, setting.seed).to(target)
    checkpoint = Checkpoint(
        Path(output_dir) / "checkpoint.pt",
        fingerprint(
            {
                **asdict(setting),
                "options": options.to_dict(),
                "train": train_cache.provenance,
                "test": test_cache.provenance,
                "text_sha256": clip.metadata.get("text_sha256"),
                "versions": [torch.__version__, np.__version__],
                "computed": [device_name(target), threads],
            },
            [
                *(setting.known, setting.glove),
                *(setting.train_index, setting.test_index),
                *sorted(PACKAGE.rglob("*.py")),
            ],
        ),
    )
    loaded = time.perf_counter()
    result = train(model, options, training, test, setting.seed, checkpoint=checkpoint)
    trained = time.perf_counter()

    run = {
        "dataset": setting.dataset,
        "method": setting.method,
        "prop": setting.prop,
        "seed": setting.seed,
        "options": options.to_dict(),
        "parameters": model.parameter_counts(),
        "images": {"train": len(training), "test": len(test)},
        "known": {
            "positive": int((known > 0).sum()),
            "negative": int((known < 0).sum()),
            "unknown": int((known == 0).sum()),
        },
        "encoder": clip.metadata.get("encoder"),
        "weights_sha256": clip.metadata.get("weights_sha256"),
        "device": device_name(target),
        "precision": precision_on(target, options.precision),
        "threads": threads,
        "seconds": {"load": loaded - started, "train": trained - loaded},
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
        },
    }
    write_run(Path(output_dir), model, result, run, options, test_index)
    checkpoint.remove()


def check_classes(
    setting: Setting, clip: ClipText, train_index: Index, test_index: Index
) -> None:
    """Check that all files list the same classes in the same order."""
    for path, classes in (
        (setting.test_index, test_index.classes),
        (setting.clip, clip.classes),
    ):
        if tuple(classes) != tuple(train_index.classes):
            raise UserError(
                f"{path}: its classes are not those of {setting.train_index}; remake "
                "both from one data set"
            )


def read_array(path: str, shape: tuple[int | None, ...], command: str) -> np.ndarray:
    """Read an npy file of a given shape (None: any size)."""
    try:
        array = np.load(path)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(
            f"{path}: not a readable npy file ({error}); remake it with "
            f"`mlrpl {command}`"
        ) from error
    expected = "x".join("?" if size is None else str(size) for size in shape)
    if len(array.shape) != len(shape) or any(
        size is not None and size != actual
        for size, actual in zip(shape, array.shape, strict=True)
    ):
        raise UserError(
            f"{path}: shape {'x'.join(map(str, array.shape))}, but the index makes it "
            f"{expected}; remake it with `mlrpl {command}`"
        )
    return array


def warn_without_positives(
    setting: Setting, known: np.ndarray, classes: Sequence[str]
) -> None:
    """Say which classes are left without a known positive; training goes on."""
    empty = [classes[c] for c in np.flatnonzero(~(known > 0).any(axis=0))]
    if empty:
        print(
            f"warning: {setting.known}: no known positive of {', '.join(empty)}",
            file=sys.stderr,
        )


def read_context(setting: Setting, clip: ClipText) -> torch.Tensor | None:
    """Return the token embeddings of `context_init` [M, W]; None if it is "random"."""
    text, path = setting.options.context_init, setting.context
    if text == "random":
        return None
    if path is None:
        raise UserError(
            f"options: context_init: {text}: its tokens are missing; make them with "
            "`mlrpl context` and give --context"
        )
    try:
        content = json.loads(Path(path).read_text())
        found = {key: content[key] for key in ("encoder", "text", "tokens")}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path}: not a readable context ({error}); remake it with `mlrpl context`"
        ) from error
    for key, wanted in (("encoder", clip.metadata.get("encoder")), ("text", text)):
        if found[key] != wanted:
            raise UserError(
                f"{path}: made for the {key} {found[key]}, not {wanted}; remake it "
                "with `mlrpl context`"
            )
    return clip.embed(found["tokens"])


def device_name(device: torch.device) -> str:
    """Return the card's name, or "cpu"."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return device.type


def write_run(
    folder: Path,
    model: Recognizer,
    result: Result,
    run: dict,
    options: Options,
    test_index: Index,
) -> None:
    """Write a run's files, each whole or not at all."""
    weights = {name: tensor.cpu() for name, tensor in model.trained().items()}
    with atomic_path(folder / "weights.safetensors") as path:
        path.write_bytes(save(weights))
    with atomic_path(folder / "history.csv") as path, path.open("w", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["epoch", "lr", "loss", "mAP"])
        for entry in result.history:
            writer.writerow("" if v is None else v for v in asdict(entry).values())
    with atomic_path(folder / "scores.h5") as path, h5py.File(path, "w") as file:
        file["last"], file["best"] = result.last, result.best
        file.attrs["threshold"] = THRESHOLDS[options.score]
        file.attrs["epoch_last"] = options.epochs
        file.attrs["epoch_best"] = result.best_epoch
        file.attrs["images_sha256"] = test_index.hash()
    with atomic_path(folder / "run.json") as path:
        path.write_text(json.dumps(run, indent=1) + "\n")
