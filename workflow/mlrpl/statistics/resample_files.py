"""The metrics of one run's resampled test images, in a file.

Tables and comparisons read it, and sort no scores: that is done once a run.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mlrpl.data.index import Index
from mlrpl.errors import UserError
from mlrpl.evaluation.score_files import read_scores
from mlrpl.runtime import hdf5
from mlrpl.statistics.resampling import image_counts, jackknife_groups
from mlrpl.statistics.weighted_metrics import WeightedMetrics

SETTING = ("dataset", "method", "prop", "seed")


@dataclass(frozen=True, eq=False)
class Resamples:
    """Metrics of one run's test images and of their resamples, percent.

    Attributes:
        setting: dataset, method, prop and seed.
        epoch: `last`, `best` or `validated`.
        images: N.
        test_set: a hash of image names, classes and labels.
        resamples: R.
        classes: names of the classes.
        positives: test images that show each class [C].
        metrics: [1 + R + G] by name; see `resampling.image_counts`.
        ap: envelope AP of each class [1 + R + G, C]; nan without a positive.
    """

    setting: dict[str, Any]
    epoch: str
    images: int
    test_set: str
    resamples: int
    classes: tuple[str, ...]
    positives: np.ndarray
    metrics: dict[str, np.ndarray]
    ap: np.ndarray

    def save(self, path: str | Path) -> None:
        """Write the file whole or not at all."""
        with hdf5.writing(path) as file:
            for name in SETTING:
                file.attrs[name] = self.setting[name]
            for name in ("epoch", "images", "test_set", "resamples"):
                file.attrs[name] = getattr(self, name)
            for name, values in self.metrics.items():
                file[f"metrics/{name}"] = values
            file["ap"] = self.ap.astype(np.float32)
            file["positives"] = self.positives
            file["classes"] = [name.encode() for name in self.classes]
            file.attrs["sha256"] = self.hash()

    @classmethod
    def load(cls, path: str | Path) -> "Resamples":
        """Read a file.

        Raises:
            UserError: the file is not there, or is not a whole one.
        """
        remedy = "make it with `mlrpl resample`"
        damaged = "not a whole file of resamples"
        with hdf5.reading(path, remedy, damaged, remedy) as file:
            names = sorted(file["metrics"])
            arrays = {n: hdf5.array_of(file, f"metrics/{n}")[()] for n in names}
            found = cls(
                setting={
                    "dataset": hdf5.text_of(file, "dataset"),
                    "method": hdf5.text_of(file, "method"),
                    "prop": hdf5.number_of(file, "prop", float),
                    "seed": hdf5.number_of(file, "seed"),
                },
                epoch=hdf5.text_of(file, "epoch"),
                images=hdf5.number_of(file, "images"),
                test_set=hdf5.text_of(file, "test_set"),
                resamples=hdf5.number_of(file, "resamples"),
                classes=tuple(n.decode() for n in hdf5.array_of(file, "classes")[()]),
                positives=hdf5.array_of(file, "positives")[()],
                metrics=arrays,
                ap=hdf5.array_of(file, "ap")[()].astype(float),
            )
            if hdf5.text_of(file, "sha256") != found.hash():
                raise ValueError("its numbers do not have the hash stored with them")
            return found

    def hash(self) -> str:
        """Return a hash of the numbers."""
        metrics = [self.metrics[name] for name in sorted(self.metrics)]
        return hdf5.sha256_of(*metrics, self.ap.astype(np.float32), self.positives)


def resample(
    setting: dict[str, Any],
    scores_path: str | Path,
    index_path: str | Path,
    epoch: str,
    resamples: int,
) -> Resamples:
    """Return the metrics of a run's resampled test images.

    Args:
        setting: dataset, method, prop and seed of the run.
        scores_path: `scores.h5` of the run.
        index_path: the index of the images that were scored.
        epoch: `last`, `best`, or `validated` where the run has a validation split.
        resamples: R.

    Raises:
        UserError: as `evaluation.score_files.evaluate_file`, or a file without this
            epoch.
    """
    index = Index.load(index_path)
    found = read_scores(scores_path, index_path)
    if epoch not in found.scores:
        raise UserError(
            f"{scores_path}: has no scores of the epoch {epoch}, but of "
            f"{', '.join(found.scores)}; train the run with validation above 0"
        )
    where = f"{scores_path} ({epoch} epoch)"
    metrics = WeightedMetrics(found.scores[epoch], index.labels, found.threshold, where)
    images = len(index.images)
    parts = list(
        map(metrics, image_counts(images, resamples, jackknife_groups(images)))
    )
    return Resamples(
        setting=setting,
        epoch=epoch,
        images=images,
        test_set=_identity(index),
        resamples=resamples,
        classes=index.classes,
        positives=(index.labels == 1).sum(axis=0),
        metrics={
            name: np.concatenate([part[name] for part, _ in parts])
            for name in parts[0][0]
        },
        # As a file has it, so that it makes no difference whether there is one.
        ap=np.concatenate([ap for _, ap in parts]).astype(np.float32).astype(float),
    )


def _identity(index: Index) -> str:
    """Return a hash of what two runs must share to be compared image by image."""
    digest = hashlib.sha256(index.hash().encode())
    digest.update("\n".join(index.classes).encode())
    digest.update(index.labels.tobytes())
    return digest.hexdigest()
