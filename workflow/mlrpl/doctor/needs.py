"""What the configured experiments take: trainings, disk, memory and time.

Plain numbers in and out: what exists is looked up, nothing is loaded.
"""

import heapq
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlrpl.config import ablations, plan
from mlrpl.doctor import rates, sizes, sources, trainings
from mlrpl.errors import UserError
from mlrpl.runtime import memory

# Of a process besides its features, its method and a step: Python and torch, as
# measured on a training of the demo. With CUDA more is mapped, which has not been
# measured.
PROCESS_BYTES = 750_000_000
CUDA_PROCESS_BYTES = 3_000_000_000
# On the card besides the features: the context, the text tower's activations and a
# batch, or an encoder's batch of 64 images.
CARD_BYTES = 4_000_000_000


@dataclass(frozen=True)
class Work:
    """The runs of the configured experiments.

    Attributes:
        runs: every run's folder below `runs`, each once.
        by_experiment: how many of them each table, figure and ablation names.
        seconds: of each run that is there with the same options, what it took; None
            where it ran on another kind of device.
        changed: runs that are there with other options, and will be made again.
        uncounted: for each ablation whose runs are not known, why.
    """

    runs: Sequence[str]
    by_experiment: Mapping[str, int]
    seconds: Mapping[str, float | None]
    changed: Sequence[str]
    uncounted: Sequence[str] = ()

    @property
    def to_do(self) -> list[str]:
        """The runs that are still to be made."""
        return [run for run in self.runs if run not in self.seconds]

    @property
    def datasets(self) -> list[str]:
        """The data sets that any of the runs is on."""
        return list(dict.fromkeys(run.split("/")[0] for run in self.runs))

    def feature_files(self, config: Mapping[str, Any]) -> list[tuple[str, str]]:
        """Return which feature files are read: data set and folder below a split's.

        Of data sets with the same images the first is named.
        """
        first: dict[tuple[str, str], str] = {}
        for kind in dict.fromkeys(map(kind_of, self.runs)):
            name, method = kind.split("/")
            folder = plan.features_folder(config, method)
            first.setdefault((plan.images_of(config, name), folder), name)
        return [(name, folder) for (_, folder), name in first.items()]


def find_work(config: Mapping[str, Any], cuda: bool) -> Work:
    """Count the runs that will be asked for, and those that are there already.

    Raises:
        UserError: an ablation that the config names has no file.
    """
    names = {
        name: plan.runs(config, **plan.experiment(config, name))
        for name in config["experiments"]
    }
    uncounted = []
    for name in ablations.chosen(config):
        path = ablations.FOLDER / f"{name}.smk"
        try:
            names[f"ablation {name}"] = ablations.runs(config, path)
        except UserError as error:
            uncounted.append(str(error))
    runs = list(dict.fromkeys(run for some in names.values() for run in some))
    seconds: dict[str, float | None] = {}
    changed = []
    for run in runs:
        path = Path(config["results"]) / "runs" / run / "run.json"
        try:
            record = json.loads(path.read_text())
            same = record["options"] == plan.method_options(config, run.split("/")[1])
            took = float(record["seconds"]["load"] + record["seconds"]["train"])
            on_card = record["device"] != "cpu"
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if not same:
            changed.append(run)
        else:
            seconds[run] = took if on_card == cuda else None
    counts = {name: len(some) for name, some in names.items()}
    return Work(runs, counts, seconds, changed, uncounted)


@dataclass(frozen=True)
class Sizes:
    """What needs are counted from.

    Attributes:
        splits: by data set and split.
        feature: of one view, None if unknown.
        text: the text tower, None if unknown.
        encode: operations of the image tower on one view, None if unknown.
        counts: what the trainings take.
    """

    splits: Mapping[str, Mapping[str, sizes.SplitCount]]
    feature: sizes.Feature | None
    text: sizes.Text | None
    encode: float | None
    counts: trainings.Counts

    def count(self, config: Mapping[str, Any], run: str) -> "trainings.Count | None":
        """Return what a run takes; None if unknown."""
        dataset, method = run.split("/")[:2]
        options = plan.method_options(config, method)
        return self.counts.of(options, self.splits[dataset]["train"])


def find_sizes(config: Mapping[str, Any], datasets: Sequence[str]) -> Sizes:
    """Look up how many images there are and how large their features."""
    splits = {
        name: {s: sizes.count_split(config, name, s) for s in ("train", "test")}
        for name in datasets
    }
    feature, text = sizes.feature_shape(config), sizes.text_tower(config)
    encode, counts = sizes.encode_operations(config), trainings.Counts(feature, text)
    return Sizes(splits, feature, text, encode, counts)


@dataclass(frozen=True)
class DiskNeed:
    """Bytes still to be written below one folder.

    Attributes:
        what: `downloads`, `weights`, `features`, `labels` or `runs`.
        folder: where.
        bytes: as far as they are known.
        unknown: what could not be counted.
    """

    what: str
    folder: str
    bytes: int
    unknown: Sequence[str] = ()


def disk_needs(
    config: Mapping[str, Any],
    work: Work,
    found: Sizes,
    files: Sequence[sources.Source],
) -> list[DiskNeed]:
    """Count what the experiments will write; what is there already is left out."""
    results = config["results"]
    downloads = [f for f in files if f.owner != "encoder"]
    weights = [f for f in files if f.owner == "encoder"]
    needs = [
        DiskNeed(what, folder, sum(f.to_fetch or 0 for f in some), unknown)
        for what, folder, some in (
            ("downloads", config["data_dir"], downloads),
            ("weights", str(sources.weights_folder()), weights),
        )
        if (unknown := [f.path for f in some if f.to_fetch is None])
        or any(f.to_fetch for f in some)
    ]
    features, labels, runs = 0, 0, 0
    no_features, no_runs = [], []
    views = len(config["encoder"]["views"])
    for name, folder in work.feature_files(config):
        for split, counted in found.splits[name].items():
            if missing := missing_share(config, name, split, folder):
                if counted.images is None or found.feature is None:
                    no_features.append(f"{name} {split}")
                else:
                    size = found.feature.token_bytes if folder else found.feature.bytes
                    features += round(missing * counted.images * views * size)
    texts = set()
    for name in work.datasets:
        train, test = found.splits[name]["train"], found.splits[name]["test"]
        masks = {
            run.split("/", 2)[2] for run in work.runs if run.startswith(f"{name}/")
        }
        known = Path(results) / "data" / name / "known"
        masks = {mask for mask in masks if not (known / f"{mask}.npy").is_file()}
        labels += len(masks) * (train.images or 0) * (train.classes or 0)
        text = Path(results) / f"clip/{plan.images_of(config, name)}.safetensors"
        if found.text and text not in texts and not text.is_file():
            texts.add(text)
            labels += found.text.bytes
        for run in work.to_do:
            if not run.startswith(f"{name}/"):
                continue
            if None in (found.feature, found.text, test.images, test.classes):
                no_runs.append(name)
                break
            if count := found.count(config, run):
                runs += 4 * count.parameters + 2 * 4 * test.images * test.classes
            else:
                no_runs.append(kind_of(run))
    needs += [
        DiskNeed("features", results, features, no_features),
        DiskNeed("labels", results, labels),
        DiskNeed("runs", results, runs, list(dict.fromkeys(no_runs))),
    ]
    return [need for need in needs if need.bytes or need.unknown]


def kind_of(run: str) -> str:
    """Return a run's data set and method, `voc2007/sarl`."""
    return "/".join(run.split("/")[:2])


def missing_share(
    config: Mapping[str, Any], dataset: str, split: str, below: str = ""
) -> float:
    """Return the share of a split's feature files that is not there yet.

    Args:
        config: the checked configuration.
        dataset: the data set.
        split: its split.
        below: their folder below the split's (`plan.features_folder`).
    """
    shards = config["datasets"][dataset]["splits"][split]["shards"]
    name = plan.images_of(config, dataset)
    folder = Path(config["results"]) / "features" / name / split / below
    there = sum((folder / f"{shard}.h5").is_file() for shard in range(shards))
    return 1 - there / shards


@dataclass(frozen=True)
class MemoryNeed:
    """Bytes that the trainings take which run at the same time.

    Attributes:
        at_once: how many those are.
        largest: the run that takes the most.
        features: bytes of its features, training and test.
        host: bytes of host memory, of all at once.
        card: bytes of GPU memory; None without a GPU.
        on_card: bytes of its features that go there, by the rule of `training.batches`.
        on_disk: bytes of its features that stay on the disk for want of memory.
        unknown: data sets of unknown size, and methods (with their data set) that
            cannot be counted; both are left out.
    """

    at_once: int
    largest: str
    features: int
    host: int
    card: int | None
    on_card: int = 0
    on_disk: int = 0
    unknown: Sequence[str] = field(default=())


def memory_need(
    config: Mapping[str, Any],
    work: Work,
    found: Sizes,
    cores: int,
    card: int | None,
    available: int | None = None,
) -> MemoryNeed | None:
    """Count the memory of the largest trainings that may run at the same time.

    Args:
        config: the checked configuration.
        work: its runs.
        found: sizes.
        cores: cores that Snakemake is given.
        card: free bytes of the card; None to train on the CPU, as many at once as
            there are cores for.
        available: bytes of the host's memory that are not in use; None if unknown.

    Returns:
        None when nothing is left to train.
    """
    views = len(config["encoder"]["views"])
    needs: list[tuple[int, int, str]] = []
    unknown: dict[str, None] = {}
    step = 0
    for run in work.to_do:
        name, method = run.split("/")[:2]
        train, test = found.splits[name]["train"], found.splits[name]["test"]
        if None in (found.feature, train.images, test.images):
            unknown[name] = None
            continue
        count = found.count(config, run)
        if count is None:
            unknown[kind_of(run)] = None
            continue
        image = found.feature.read_bytes(count.reads)
        needs.append((train.images * views * image, test.images * image, run))
        options = plan.method_options(config, method)
        step = max(step, trainings.training_bytes(options, count))
    if not work.to_do:
        return None
    threads = min(config["threads"]["train"], cores)
    # Unless `device` is cpu, a training asks for the GPU, even where there is none.
    at_once = 1
    if config["device"] == "cpu":
        at_once = max(1, min(cores // threads, len(work.to_do)))
    most = heapq.nlargest(at_once, needs, key=lambda need: need[0] + need[1])
    train_bytes, test_bytes, run = most[0] if most else (0, 0, "")
    process = PROCESS_BYTES + step if card is None else CUDA_PROCESS_BYTES
    if at_once > 1:  # each looks at the memory before the others have filled it
        host = sum(a + b for a, b, _ in most) + at_once * process
        return MemoryNeed(
            at_once, run, train_bytes + test_bytes, host, None, unknown=list(unknown)
        )
    put = {"device": 0, "host": 0, "disk": 0}
    for size in (train_bytes, test_bytes):
        on_card = None if card is None else card - put["device"]
        left = None if available is None else available - process - put["host"]
        put[memory.place(size, on_card, left)] += size
    return MemoryNeed(
        at_once,
        run,
        train_bytes + test_bytes,
        process + put["host"],
        None if card is None else CARD_BYTES + put["device"],
        put["device"],
        put["disk"],
        list(unknown),
    )


@dataclass(frozen=True)
class TimeNeed:
    """A rough time, in seconds.

    Attributes:
        images: images that are still to be encoded, None if unknown.
        encode: seconds of all of them, None if unknown.
        train: seconds of all trainings that are left, None if unknown.
        measured: runs in the results whose seconds this rests on; 0 if it rests on the
            stated rates alone.
    """

    images: int | None
    encode: float | None
    train: float | None
    measured: int


def time_need(
    config: Mapping[str, Any],
    work: Work,
    found: Sizes,
    cores: int,
    cuda: bool,
    at_once: int,
) -> TimeNeed:
    """Estimate the time of the features and of the trainings.

    A run takes what runs of its data set and method took here; without such ones, its
    operations at the rate of the runs that are here; without any, at the stated rate.
    """
    kind = "cuda" if cuda else "cpu"
    images: float | None = 0
    for name, folder in work.feature_files(config):
        for split, counted in found.splits[name].items():
            share = missing_share(config, name, split, folder)
            if share and counted.images is None:
                images = None
            elif share and images is not None:
                images += share * counted.images * len(config["encoder"]["views"])
    encode = None
    if images is not None and found.encode is not None:
        several = cores if config["device"] == "cpu" else config["threads"]["features"]
        threads = min(cores, several)
        rate = rates.ENCODE[kind] * (1 if cuda else threads)
        # The threads that decode feed the card; without one they share the cores.
        decoding, encoding = (
            images / rates.DECODE / threads,
            images * found.encode / rate,
        )
        encode = max(decoding, encoding) if cuda else decoding + encoding
    done: dict[str, list[float]] = {}
    operations_done = seconds_done = 0.0
    for run, seconds in work.seconds.items():
        if seconds is None:
            continue
        done.setdefault(run.split("/prop=")[0], []).append(seconds)
        operations_done += _operations(config, found, run) or 0
        seconds_done += seconds
    threads = min(config["threads"]["train"], cores)
    rate = rates.TRAIN[kind] * (1 if cuda else threads)
    if operations_done:
        rate = operations_done / seconds_done
    train: float | None = 0.0
    for run in work.to_do:
        same = done.get(run.split("/prop=")[0])
        operations = _operations(config, found, run)
        if train is None or (same is None and operations is None):
            train = None
        elif same is not None:
            train += sum(same) / len(same)
        else:
            train += operations / rate
    return TimeNeed(
        None if images is None else round(images),
        encode if images else images,
        None if train is None else train / at_once,
        sum(map(len, done.values())),
    )


def _operations(config: Mapping[str, Any], found: Sizes, run: str) -> float | None:
    name, method = run.split("/")[:2]
    count = found.count(config, run)
    if count is None:
        return None
    splits, options = found.splits[name], plan.method_options(config, method)
    return trainings.training_operations(
        options, count, splits["train"], splits["test"]
    )
