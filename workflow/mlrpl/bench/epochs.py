"""Seconds an epoch, and the hours of the paper's whole grid."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mlrpl.bench.inputs import (
    load_config,
    make_labels,
    make_method,
    make_options,
    write_cache,
)
from mlrpl.bench.measuring import seconds
from mlrpl.bench.report import Row
from mlrpl.bench.sizes import Sizes
from mlrpl.config import plan
from mlrpl.config.options import Options
from mlrpl.evaluation.average_precision import average_precision
from mlrpl.methods.method import Method
from mlrpl.text.clip_text import ClipText
from mlrpl.training.batches import Split
from mlrpl.training.feature_cache import FeatureCache
from mlrpl.training.gradients import gradients_of
from mlrpl.training.loop import make_optimizer, run_epoch, score


def trainings(config: dict[str, Any]) -> Counter[tuple[str, str]]:
    """Count the trainings of the configured experiments by data set and method."""
    runs = {
        run
        for name in config["experiments"]
        for run in plan.runs(config, **plan.experiment(config, name))
    }
    return Counter((run.split("/")[0], run.split("/")[1]) for run in runs)


def measure(
    sizes: Sizes, device: torch.device, folder: Path, texts: dict[str, Path]
) -> list[Row]:
    """Measure some batches of every kind of training, and multiply.

    Trainings that differ in what does not cost time, such as the loss's parameters, are
    measured once.

    Args:
        sizes: of the trainings.
        device: where they run.
        folder: for the cache.
        texts: the text side of CLIP of each data set.
    """
    config = load_config()
    counted = trainings(config)
    batches: dict[tuple[str, ...], tuple[float, float]] = {}
    rows: list[Row] = []
    total = 0.0
    for (dataset, method), count in sorted(counted.items()):
        if dataset not in sizes.datasets:
            continue
        options = make_options(sizes, config, method)
        kind = (dataset, *_parts(options))
        if kind not in batches:
            clip = ClipText(texts[dataset])
            batches[kind] = _epoch(sizes, dataset, options, clip, device, folder)
            training, testing = batches[kind]
            data = sizes.datasets[dataset]
            what = f"{data.train:,} images, {-(-data.train // sizes.batch):,} steps"
            name = f"epoch of {dataset}: {', '.join(kind[1:])}"
            rows.append(Row(f"{name}: training", training, "s", what))
            rows.append(Row(f"{name}: test", testing, "s", f"{data.test:,} images"))
        training, testing = batches[kind]
        epochs, every = config["options"]["epochs"], options.eval_every
        total += count * (epochs * training + -(-epochs // every) * testing)
    epochs = config["options"]["epochs"]
    runs = sum(n for (dataset, _), n in counted.items() if dataset in sizes.datasets)
    note = f"{runs} trainings of {epochs} epochs one after the other; no ablations"
    return [
        *rows,
        Row("all tables and figures", total / 3600, "hours", note),
        Row("one training of them, on average", total / max(runs, 1) / 60, "minutes"),
    ]


def _epoch(
    sizes: Sizes,
    dataset: str,
    options: Options,
    clip: ClipText,
    device: torch.device,
    folder: Path,
) -> tuple[float, float]:
    """Return the seconds of an epoch's training and of its test, from some batches."""
    data = sizes.datasets[dataset]
    method = make_method(sizes, options, clip).to(device)
    training, test = (
        _split(count, sizes, clip, method, device, folder)
        for count in (sizes.epoch_batches * sizes.batch, sizes.scored)
    )
    few = _split(2, sizes, clip, method, device, folder)
    gradients = gradients_of(method, device)
    optimizer = make_optimizer(options, method)

    def train(split: Split) -> None:
        gradients.phase = method.start_epoch(1, split)
        shuffled = split.shuffled(options.batch_size, 0, 1)
        run_epoch(gradients, optimizer, options.lr, shuffled)

    limits = (device, sizes.repeats, sizes.budget)
    # The warm-up; on a GPU a whole batch, of which a graph is captured.
    train(training if device.type == "cuda" else few)
    steps = -(-data.train // sizes.batch)
    step = seconds(lambda: train(training), *limits, warm_up=False)
    # A test makes the text features once, and then scores the images.
    with torch.no_grad():
        text = seconds(method.prepare, *limits)
        given = _Prepared(method)
    scored = seconds(lambda: score(given, test), *limits)
    images = scored / sizes.scored * data.test
    scores = np.random.default_rng(0).standard_normal(
        (data.test, len(data.names)), np.float32
    )
    labels = make_labels(*scores.shape)
    cpu = (torch.device("cpu"), 1, 0.0)
    ap = seconds(lambda: average_precision(scores, labels), *cpu, warm_up=False)
    return step / sizes.epoch_batches * steps, text + images + ap


def _parts(options: Options) -> list[str]:
    """Return the parts of a method on which its time depends."""
    names = [options.get("visual", options.head), options.get("prompts")]
    return [name for name in (*names, options.transfer) if name not in (None, "none")]


class _Prepared:
    """A method whose text features are made: scoring it costs the images alone."""

    def __init__(self, method: Method):
        self._prepared = method.prepare()
        self.eval, self.score_images = method.eval, method.score_images

    def prepare(self) -> Any:
        return self._prepared


def _split(
    count: int,
    sizes: Sizes,
    clip: ClipText,
    method: Method,
    device: torch.device,
    folder: Path,
) -> Split:
    """Return a split of so many random images, as training holds it."""
    path = folder / f"epoch_{count}.h5"
    if not path.exists():
        channels, width = (int(clip.metadata[k]) for k in ("map_channels", "embed_dim"))
        write_cache(path, count, sizes.locations, channels, width)
    labels = make_labels(count, len(clip.classes))
    return Split(FeatureCache([path]), labels, method.reads, device)
