"""Results of runs whose test scores are drawn: scores, settings, index, metrics."""

import json
from pathlib import Path

import h5py
import numpy as np

from mlrpl.data.index import Index
from mlrpl.evaluation.score_files import evaluate_file, write_json

CLASSES = ("ant", "bee", "cat", "dog", "eel", "fox")


def index(images: int = 400, classes=CLASSES, dataset: str = "set") -> Index:
    """Labels with more positives from class to class."""
    random = np.random.default_rng(images)
    shares = np.linspace(0.1, 0.5, len(classes))
    labels = np.where(random.random((images, len(classes))) < shares, 1, -1)
    labels[0] = 1
    names = tuple(f"{i}.jpg" for i in range(images))
    return Index(dataset, "test", tuple(classes), names, labels.astype(np.int8))


def write(
    results: Path,
    method: str,
    strength: float,
    props=(0.1, 0.5),
    seeds=(0, 1, 2),
    test: Index | None = None,
    noise: float = 0.1,
) -> list[Path]:
    """Write runs whose scores follow the labels by a strength; return their folders.

    Seeds share the images' difficulty, and differ by a `noise` of their own.
    """
    test = test or index()
    place = results / f"data/{test.dataset}/test.h5"
    test.save(place)
    shape = test.labels.shape
    shared = np.random.default_rng(5).standard_normal(shape)
    folders = []
    for prop in props:
        for seed in seeds:
            folder = results / f"runs/{test.dataset}/{method}/prop={prop}/seed={seed}"
            folder.mkdir(parents=True)
            draw = [seed, round(100 * prop), round(1000 * strength)]
            own = np.random.default_rng(draw).standard_normal(shape)
            found = (strength + prop) * test.labels + shared + noise * own
            with h5py.File(folder / "scores.h5", "w") as file:
                file["last"] = file["best"] = found.astype(np.float32)
                file.attrs["threshold"] = 0.0
                file.attrs["epoch_last"] = file.attrs["epoch_best"] = 1
                file.attrs["images_sha256"] = test.hash()
            setting = {"dataset": test.dataset, "method": method}
            setting |= {"prop": prop, "seed": seed}
            (folder / "run.json").write_text(json.dumps(setting))
            metrics = setting | evaluate_file(folder / "scores.h5", place)
            write_json(metrics, folder / "metrics.json")
            folders.append(folder)
    return folders
