"""Evaluation: from a run's scores to its metrics."""

from pathlib import Path

import h5py
import numpy as np
import torch

from mlrpl.bench.inputs import make_labels
from mlrpl.bench.measuring import seconds
from mlrpl.bench.report import Row
from mlrpl.bench.sizes import Sizes
from mlrpl.data.index import Index
from mlrpl.evaluation.average_precision import average_precision
from mlrpl.evaluation.metrics import evaluate
from mlrpl.evaluation.score_files import evaluate_file


def measure(sizes: Sizes, folder: Path) -> list[Row]:
    """Measure the metrics of random scores, alone and as `mlrpl evaluate`.

    Args:
        sizes: number of images and classes.
        folder: for scores and index.
    """
    names = sizes.datasets["coco2014"].names
    labels = make_labels(sizes.evaluated, len(names))
    scores = np.random.default_rng(1).standard_normal(labels.shape, np.float32)
    images = tuple(f"{i}.jpg" for i in range(sizes.evaluated))
    index = Index("bench", "test", names, images, labels)
    index.save(folder / "index.h5")
    with h5py.File(folder / "scores.h5", "w") as file:
        file["last"], file["best"] = scores, scores[::-1]
        file.attrs["threshold"] = 0.0
        file.attrs["epoch_last"] = file.attrs["epoch_best"] = 1
        file.attrs["images_sha256"] = index.hash()
    limits = (torch.device("cpu"), sizes.repeats, sizes.budget)
    alone = seconds(lambda: evaluate(scores, labels, 0.0), *limits)
    ap = seconds(lambda: average_precision(scores, labels), *limits)
    whole = seconds(
        lambda: evaluate_file(folder / "scores.h5", folder / "index.h5"), *limits
    )
    shape = f"{sizes.evaluated:,} x {len(names)}"
    return [
        Row("all metrics", alone, "s", f"{shape}, one thread of numpy"),
        Row("average precision alone", ap, "s", "what a test in training takes"),
        Row("mlrpl evaluate", whole, "s", "read the files; last and best epoch"),
    ]
