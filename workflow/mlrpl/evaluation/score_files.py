"""From the test scores of one setting to its metrics."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from mlrpl.data.index import Index
from mlrpl.errors import UserError
from mlrpl.evaluation.metrics import evaluate
from mlrpl.runtime import hdf5
from mlrpl.runtime.storage import atomic_path

EPOCHS = ("last", "best")


def evaluate_file(scores_path: str | Path, index_path: str | Path) -> dict[str, Any]:
    """Return the metrics of the last and of the best epoch, and each class's AP.

    Args:
        scores_path: `scores.h5` of a run: `last` and `best`, float [N, C].
        index_path: the index of the images that were scored.

    Returns:
        `last` and `best`: {"epoch": int, metric: percent, ...}; `per_class_ap`:
        {"last": {class: percent or None without a positive}, "best": {...}}.

    Raises:
        UserError: a file that cannot be read, scores of other images or classes than
            the index has, or scores that are not numbers.
    """
    index = Index.load(index_path)
    scores, attributes = _read(scores_path)
    if attributes["images_sha256"] != index.hash():
        raise UserError(
            f"{scores_path}: the scores are of other images than {index_path} lists; "
            "train the setting again with this index"
        )
    result: dict[str, Any] = {}
    per_class: dict[str, dict[str, float | None]] = {}
    for epoch in EPOCHS:
        metrics, ap = evaluate(
            scores[epoch],
            index.labels,
            attributes["threshold"],
            where=f"{scores_path} ({epoch} epoch)",
        )
        result[epoch] = {"epoch": attributes[f"epoch_{epoch}"], **metrics}
        per_class[epoch] = {
            name: None if np.isnan(value) else float(value)
            for name, value in zip(index.classes, ap, strict=True)
        }
    result["per_class_ap"] = per_class
    return result


def write_metrics(metrics: dict[str, Any], path: str | Path) -> None:
    """Write `metrics.json`; equal metrics give equal bytes."""
    with atomic_path(path) as temporary:
        text = json.dumps(metrics, indent=1, ensure_ascii=False)
        temporary.write_text(text + "\n", encoding="utf-8")


def _read(path: str | Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    with hdf5.reading(
        path,
        missing="train the setting first",
        damaged="not a whole file of scores",
        remedy="train the setting again",
    ) as file:
        scores = {epoch: hdf5.array_of(file, epoch)[()] for epoch in EPOCHS}
        attributes = {
            "threshold": hdf5.number_of(file, "threshold", float),
            "images_sha256": hdf5.text_of(file, "images_sha256"),
            **{
                name: hdf5.number_of(file, name)
                for name in (f"epoch_{epoch}" for epoch in EPOCHS)
            },
        }
        for epoch, array in scores.items():
            if array.ndim != 2 or array.dtype.kind != "f":
                raise TypeError(f"its {epoch} is no matrix of scores")
        if "scores_sha256" in file.attrs:  # older files have none
            stored = hdf5.text_of(file, "scores_sha256")
            if stored != hdf5.sha256_of(*scores.values()):
                raise ValueError("its scores do not have the hash stored with them")
        return scores, attributes
