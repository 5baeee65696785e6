"""Seconds an epoch, and the hours of the paper's whole grid."""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
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
from mlrpl.bench.operations import table_operations
from mlrpl.bench.report import Row
from mlrpl.bench.sizes import DataSet, Sizes
from mlrpl.config import plan
from mlrpl.config.options import Options
from mlrpl.evaluation.average_precision import average_precision
from mlrpl.methods.method import Method
from mlrpl.text.clip_text import ClipText
from mlrpl.training.batches import Split
from mlrpl.training.feature_cache import FeatureCache
from mlrpl.training.gradients import gradients_of
from mlrpl.training.loop import make_optimizer, run_epoch, score

# Of a training's data set and method, how many there are.
Trainings = Counter[tuple[str, str]]


def trainings(config: dict[str, Any]) -> Trainings:
    """Count the trainings of the configured experiments by data set and method."""
    return _counted(
        run
        for name in config["experiments"]
        for run in plan.runs(config, **plan.experiment(config, name))
    )


def table2(config: dict[str, Any]) -> Trainings:
    """Count those of Table 2, all its systems and proportions, with the first seed."""
    runs = plan.runs(config, **plan.experiment(config, "table2"))
    first = min((_seed(run) for run in runs), default=0)
    return _counted(run for run in runs if _seed(run) == first)


def _seed(run: str) -> int:
    return int(run.rpartition("=")[2])


def _counted(runs: Iterable[str]) -> Trainings:
    return Counter(tuple(run.split("/")[:2]) for run in dict.fromkeys(runs))


@dataclass(frozen=True)
class Costs:
    """Seconds of the pieces of a training.

    Attributes:
        before: an epoch before there is transfer.
        after: an epoch with it, and of every method without such stages.
        prototypes: one computation of the prototypes.
        test: one test.
    """

    before: float
    after: float
    prototypes: float
    test: float

    def training(self, options: Options) -> float:
        """Return the seconds of a whole training."""
        first, rest = stages(options)
        computed = 0
        if "prototype_every" in options:
            computed = math.ceil(rest / options.prototype_every)
        tests = math.ceil(options.epochs / options.eval_every)
        epochs = first * self.before + rest * self.after
        return epochs + computed * self.prototypes + tests * self.test


def stages(options: Options) -> tuple[int, int]:
    """Return the numbers of epochs before transfer sets in, and of the others."""
    first = min(options.get("transfer_epoch", 0), options.epochs)
    return first, options.epochs - first


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
    table, every = (
        {key: n for key, n in count.items() if key[0] in sizes.datasets}
        for count in (table2(config), trainings(config))
    )
    costs: dict[tuple[str, ...], Costs] = {}
    rows: list[Row] = []
    hours: dict[tuple[str, str], float] = {}
    for dataset, method in sorted(every):
        options = make_options(sizes, config, method)
        kind = (dataset, *_parts(options))
        if kind not in costs:
            clip = ClipText(texts[dataset])
            costs[kind] = _costs(sizes, dataset, options, clip, device, folder)
            rows += _rows(kind, costs[kind], options, sizes.datasets[dataset])
        hours[dataset, method] = costs[kind].training(options) / 3600
    total = sum(n * hours[key] for key, n in every.items())
    runs = sum(every.values())
    note = f"{runs} trainings one after the other; no ablations"
    rows.append(Row("all tables and figures", total, "hours", note))
    average = 60 * total / max(runs, 1)
    rows.append(Row("one training of them, on average", average, "minutes"))
    if table:
        rows.append(_table_row(config, sizes, device, texts, table, hours))
    return rows


def _table_row(
    config: dict[str, Any],
    sizes: Sizes,
    device: torch.device,
    texts: dict[str, Path],
    table: dict[tuple[str, str], int],
    hours: dict[tuple[str, str], float],
) -> Row:
    """Return what Table 2 takes with one seed: measured, or counted without a GPU."""
    name = "Table 2, all systems and proportions, one seed"
    note = f"{sum(table.values())} trainings one after the other"
    if device.type == "cuda":
        total = sum(n * hours[key] for key, n in table.items())
        return Row(name, total, "GPU-hours", note)
    operations = table_operations(config, sizes, texts, table)
    note = f"{note}; counted, where there is a GPU its hours stand here"
    return Row(name, operations / 1e15, "PFLOP", note)


def _rows(
    kind: tuple[str, ...], costs: Costs, options: Options, data: DataSet
) -> list[Row]:
    name = f"epoch of {kind[0]}: {', '.join(kind[1:])}"
    steps = math.ceil(data.train / options.batch_size)
    what = f"{data.train:,} images, {steps:,} steps"
    rows = [Row(f"{name}: training", costs.after, "s", what)]
    first, _ = stages(options)
    if first:
        note = f"the first {first} epochs"
        rows.append(Row(f"{name}: before transfer", costs.before, "s", note))
    if costs.prototypes:
        note = "once in a while; of some images, scaled"
        rows.append(Row(f"{name}: prototypes", costs.prototypes, "s", note))
    return [*rows, Row(f"{name}: test", costs.test, "s", f"{data.test:,} images")]


def _costs(
    sizes: Sizes,
    dataset: str,
    options: Options,
    clip: ClipText,
    device: torch.device,
    folder: Path,
) -> Costs:
    """Return the seconds of a kind of training, from some batches."""
    data = sizes.datasets[dataset]
    method = make_method(sizes, options, clip).to(device)
    size = options.batch_size
    training, test, few = (
        _split(count, sizes, clip, method, device, folder)
        for count in (sizes.epoch_batches * size, sizes.scored, 2)
    )
    gradients = gradients_of(method, device)
    optimizer = make_optimizer(options, method)
    steps = math.ceil(data.train / size)
    limits = (device, sizes.repeats, sizes.budget)

    def train(split: Split) -> None:
        run_epoch(gradients, optimizer, options.lr, split.shuffled(size, 0, 1))

    def start(epoch: int) -> None:
        gradients.phase = method.start_epoch(epoch, test.batches, steps)

    def an_epoch() -> float:
        # The warm-up; on a GPU a whole batch, of which a graph is captured.
        train(training if device.type == "cuda" else few)
        took = seconds(lambda: train(training), *limits, warm_up=False)
        return took / sizes.epoch_batches * steps

    first, _ = stages(options)
    start(1)
    before = an_epoch()
    after, prototypes = before, 0.0
    if first:
        if "prototype_every" in options:
            took = seconds(lambda: start(first + 1), *limits)
            prototypes = took / sizes.scored * data.train
        start(first + 1)
        after = an_epoch()
    tested = _test(method, test, data, limits)
    return Costs(before, after, prototypes, tested)


def _test(
    method: Method, test: Split, data: DataSet, limits: tuple[torch.device, int, float]
) -> float:
    """Return the seconds of a test: text features once, then images, then its mAP."""
    with torch.no_grad():
        text = seconds(method.prepare, *limits)
        given = _Prepared(method)
    scored = seconds(lambda: score(given, test), *limits)
    images = scored / len(test) * data.test
    scores = np.random.default_rng(0).standard_normal(
        (data.test, len(data.names)), np.float32
    )
    labels = make_labels(*scores.shape)
    cpu = (torch.device("cpu"), 1, 0.0)
    ap = seconds(lambda: average_precision(scores, labels), *cpu, warm_up=False)
    return text + images + ap


def _parts(options: Options) -> list[str]:
    """Return the parts of a method on which its time depends, and its batch size."""
    names = [options.get("visual", options.head), options.get("prompts")]
    names = [name for name in (*names, options.transfer) if name not in (None, "none")]
    return [*names, f"B {options.batch_size}"]


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
