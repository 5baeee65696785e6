"""Many images and classes of which little is known: time and memory of a run's steps.

Labels are matrices of a byte a cell. Large ones stay in their files, mapped to memory,
so that of what a step has in memory the system may drop them. The image features are
small and random, since only their number matters here.
"""

import contextlib
import io
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch

from mlrpl.bench.inputs import load_config, write_cache
from mlrpl.bench.measuring import in_fresh_process, own_memory, peak_memory
from mlrpl.bench.random_clip import random_clip
from mlrpl.bench.report import Row
from mlrpl.bench.sizes import Sizes, quick
from mlrpl.config.options import Options
from mlrpl.config.plan import method_options
from mlrpl.data.index import Index
from mlrpl.data.masks import drop_labels
from mlrpl.encoder.clip import Clip
from mlrpl.evaluation.average_precision import mean_average_precision
from mlrpl.evaluation.score_files import evaluate_file
from mlrpl.text.clip_text import ClipText
from mlrpl.text.export import export_clip
from mlrpl.training.run import Setting, run_setting

METHOD = "linear_probe+batch_size=256+epochs=1+eval_every=1"
TEST = 0.02  # test images, as a share of the training images
KNOWN = 0.001  # of the cells of the index


def measure(sizes: Sizes, folder: Path) -> list[Row]:
    """Measure label dropping, an epoch with its test, and the metrics.

    Each step has a process of its own, if they are `apart`; all is done with a quarter
    of the images too.

    Args:
        sizes: how many images and classes.
        folder: for the files.
    """
    rows: list[Row] = []
    clip = random_clip(quick())  # its sizes have no part in what is measured
    for images in (sizes.many_images // 4, sizes.many_images):
        place = folder / f"scale{images}"
        place.mkdir()
        write_inputs(place, images, sizes.many_classes, clip)
        matrix = images * sizes.many_classes
        what = f"{images:,} images, {sizes.many_classes:,} classes"
        rows.append(Row(f"{what}: a label matrix", matrix / 1e9, "GB"))
        for name, step in STEPS.items():
            if sizes.apart:
                took, peak, own = in_fresh_process(_measured, step, place)
            else:
                took, peak, own = _measured(step, place)
            rows.append(Row(f"{what}: {name}, time", took, "s"))
            if sizes.apart:  # else it is not known
                note = "above what the process has before"
                rows.append(Row(f"{what}: {name}, memory", peak / 1e9, "GB", note))
                for size in own:
                    kind = f"{what}: {name}, of that not in mapped files"
                    rows.append(Row(kind, size / 1e9, "GB", note))
    return rows


def write_inputs(folder: Path, images: int, classes: int, clip: Clip) -> None:
    """Write indexes, features, class vectors and text side of a made-up data set."""
    random = np.random.default_rng(0)
    names = tuple(f"class {number}" for number in range(classes))
    export_clip(clip, names, {}, folder / "clip.safetensors")
    text = ClipText(folder / "clip.safetensors")
    channels, width = (int(text.metadata[k]) for k in ("map_channels", "embed_dim"))
    for split, count in (("train", images), ("test", max(2, int(TEST * images)))):
        labels = np.zeros((count, classes), np.int8)
        known = int(KNOWN * labels.size)
        cells = random.integers(0, count, known), random.integers(0, classes, known)
        labels[cells] = random.choice([-1, 1], known)
        labels[np.arange(classes) % count, np.arange(classes)] = 1
        files = tuple(f"{number}.jpg" for number in range(count))
        index = Index("scale", split, names, files, labels)
        index.save(folder / f"{split}.h5")
        features = folder / f"{split}_features.h5"
        write_cache(features, count, 1, channels, width)
        with h5py.File(features, "a") as file:
            file.attrs.update({"split": split, "images_sha256": index.hash()})
            file.attrs["dataset"] = index.dataset
            for key in ("encoder", "pretrained", "weights_sha256"):
                file.attrs[key] = text.metadata[key]
    vectors = random.standard_normal((classes, 8), np.float32)
    np.save(folder / "vectors.npy", vectors)


def _drop(folder: Path) -> None:
    index = Index.load(folder / "train.h5")
    np.save(folder / "known.npy", drop_labels(index.labels, 0.5, 0))


def _train(folder: Path) -> None:
    names = {key: str(folder / f"{key}.h5") for key in ("train", "test")}
    setting = Setting(
        dataset="scale",
        method=METHOD,
        prop=0.5,
        seed=0,
        options=Options.from_dict(method_options(load_config(), METHOD)),
        train_features=[str(folder / "train_features.h5")],
        test_features=[str(folder / "test_features.h5")],
        train_index=names["train"],
        test_index=names["test"],
        known=str(folder / "known.npy"),
        glove=str(folder / "vectors.npy"),
        clip=str(folder / "clip.safetensors"),
    )
    threads = torch.get_num_threads()
    run_setting(setting, folder / "run", "cpu", threads, mean_average_precision)


def _evaluate(folder: Path) -> None:
    evaluate_file(folder / "run/scores.h5", folder / "test.h5")


STEPS: dict[str, Callable[[Path], None]] = {
    "label dropping": _drop,
    "one epoch of the linear probe and its test": _train,
    "metrics of the test images": _evaluate,
}


def _measured(
    step: Callable[[Path], Any], folder: Path
) -> tuple[float, int, list[int]]:
    """Return a step's seconds, its peak in bytes, and that besides mapped files."""
    start, took = time.perf_counter(), 0.0

    def call() -> None:
        nonlocal took
        with contextlib.redirect_stderr(io.StringIO()):  # its progress
            step(folder)
        took = time.perf_counter() - start

    with own_memory() as own:
        peak = peak_memory(call, torch.device("cpu"))
    return took, peak, own
