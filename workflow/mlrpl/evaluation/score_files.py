"""From the test scores of one setting to its metrics."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mlrpl.data.index import Index
from mlrpl.errors import UserError
from mlrpl.evaluation.calibration import (
    Thresholds,
    as_probabilities,
    calibration,
    choose_thresholds,
)
from mlrpl.evaluation.metrics import evaluate
from mlrpl.runtime import hdf5
from mlrpl.runtime.storage import atomic_path

# What each run has, and what one with a validation split has besides.
EPOCHS = ("last", "best")
VALIDATED = "validated"
LABELS = "validation/labels"
# What a run with a validation split has of the held-out images, in the file's order.
HELD = (LABELS, "validation/last", "validation/validated")


@dataclass(frozen=True, eq=False)
class ScoreFile:
    """The content of a run's `scores.h5`.

    Attributes:
        threshold: the score at which the probability is 0.5.
        epochs: number of each epoch that was kept: `last`, `best` and, with a
            validation split, `validated`.
        scores: test scores [N, C] after each of these.
        held: known labels of the held-out images [V, C]; None without any.
        held_scores: their scores [V, C] after `last` and `validated`.
    """

    threshold: float
    epochs: dict[str, int]
    scores: dict[str, np.ndarray]
    held: np.ndarray | None
    held_scores: dict[str, np.ndarray]

    def thresholds(self, epoch: str) -> Thresholds | None:
        """Return the thresholds that held-out images choose; None without any."""
        if self.held is None or epoch not in self.held_scores:
            return None
        return choose_thresholds(self.held_scores[epoch], self.held, self.threshold)


def read_scores(scores_path: str | Path, index_path: str | Path) -> ScoreFile:
    """Read a run's scores.

    Args:
        scores_path: `scores.h5` of a run.
        index_path: the index of the images that were scored.

    Raises:
        UserError: a file that cannot be read, or scores of other images than the index
            has.
    """
    index = Index.load(index_path)
    with hdf5.reading(
        scores_path,
        missing="train the setting first",
        damaged="not a whole file of scores",
        remedy="train the setting again",
    ) as file:
        epochs = [*EPOCHS, *([VALIDATED] if VALIDATED in file else [])]
        names = [*epochs, *(name for name in HELD if name in file)]
        arrays = {name: hdf5.array_of(file, name)[()] for name in names}
        for name, array in arrays.items():
            kinds, what = ("i", "labels") if name == LABELS else ("f", "scores")
            if array.ndim != 2 or array.dtype.kind != kinds:
                raise TypeError(f"its {name} is no matrix of {what}")
        if "scores_sha256" in file.attrs:  # older files have none
            stored = hdf5.text_of(file, "scores_sha256")
            if stored != hdf5.sha256_of(*arrays.values()):
                raise ValueError("its scores do not have the hash stored with them")
        found = ScoreFile(
            threshold=hdf5.number_of(file, "threshold", float),
            epochs={name: hdf5.number_of(file, f"epoch_{name}") for name in epochs},
            scores={name: arrays[name] for name in epochs},
            held=arrays.get(LABELS),
            held_scores={
                name: arrays[f"validation/{name}"]
                for name in ("last", VALIDATED)
                if f"validation/{name}" in arrays
            },
        )
        images = hdf5.text_of(file, "images_sha256")
    if images != index.hash():
        raise UserError(
            f"{scores_path}: the scores are of other images than {index_path} lists; "
            "train the setting again with this index"
        )
    return found


def evaluate_file(scores_path: str | Path, index_path: str | Path) -> dict[str, Any]:
    """Return the metrics of each kept epoch, and each class's AP.

    Args:
        scores_path: `scores.h5` of a run: `last`, `best` and, with a validation split,
            `validated`, float [N, C].
        index_path: the index of the images that were scored.

    Returns:
        `last`, `best` and, with a validation split, `validated`: {"epoch": int, metric:
        percent, ...}; `per_class_ap`: {"last": {class: percent or None without a
        positive}, "best": {...}, ...}; `calibration`: {"last": {"ECE": percent, ...},
        ...}, see `calibration.py`.

    Raises:
        UserError: a file that cannot be read, scores of other images or classes than
            the index has, or scores that are not numbers.
    """
    index = Index.load(index_path)
    found = read_scores(scores_path, index_path)
    result: dict[str, Any] = {}
    per_class: dict[str, dict[str, float | None]] = {}
    calibrated: dict[str, dict[str, float]] = {}
    for epoch, number in found.epochs.items():
        scores = found.scores[epoch]
        metrics, ap = evaluate(
            *(scores, index.labels, found.threshold),
            where=f"{scores_path} ({epoch} epoch)",
        )
        result[epoch] = {"epoch": number, **metrics}
        calibrated[epoch] = calibration(
            *(scores, index.labels, found.threshold), found.thresholds(epoch)
        )
        per_class[epoch] = {
            name: None if np.isnan(value) else float(value)
            for name, value in zip(index.classes, ap, strict=True)
        }
    return {**result, "per_class_ap": per_class, "calibration": calibrated}


def class_thresholds(
    scores_path: str | Path, index_path: str | Path
) -> dict[str, float] | None:
    """Return the probability from which on to predict each class after the last epoch.

    Each has the best F1 of the class on the known labels of the validation split; None
    for a run without one.

    Raises:
        UserError: as `read_scores`.
    """
    found = read_scores(scores_path, index_path)
    thresholds = found.thresholds("last")
    if thresholds is None:
        return None
    classes = Index.load(index_path).classes
    return as_probabilities(thresholds, found.threshold, classes)


def write_json(content: dict[str, Any], path: str | Path) -> None:
    """Write metrics or thresholds; equal ones give equal bytes."""
    with atomic_path(path) as temporary:
        text = json.dumps(content, indent=1, ensure_ascii=False)
        temporary.write_text(text + "\n", encoding="utf-8")
