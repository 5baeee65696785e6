"""A rough time of features and trainings, from what ran here or from stated rates."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlrpl.config import plan
from mlrpl.doctor import rates, trainings
from mlrpl.doctor.work import Sizes, Work, missing_share


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
                views = len(plan.views_of(config, split))
                images += share * counted.images * views
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
