"""The runs of the configured experiments, and the sizes that their needs follow from.

What exists is looked up; nothing is loaded.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlrpl.config import ablations, plan
from mlrpl.doctor import sizes, trainings
from mlrpl.errors import UserError


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


def kind_of(run: str) -> str:
    """Return a run's data set and method, `voc2007/sarl`."""
    return "/".join(run.split("/")[:2])


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
