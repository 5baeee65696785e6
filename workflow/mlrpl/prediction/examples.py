"""Test images of one data set for a figure, with scores and attention of some runs."""

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from mlrpl.archives.formats import open_archive
from mlrpl.data.index import Index
from mlrpl.encoder.images import TURNED
from mlrpl.errors import UserError
from mlrpl.methods.attention import attention, check_attention
from mlrpl.prediction.choice import Choice, confident_errors, drawn
from mlrpl.prediction.overlays import read_picture
from mlrpl.prediction.runs import find_layout, load_run
from mlrpl.runtime import hdf5
from mlrpl.training.feature_cache import FeatureCache

# What a figure shows of an image: maps of its best classes, scores of several runs, or
# the map of a class that a run is wrong about.
KINDS = ("attention", "scores", "failures")
SHOWN = {"attention": 3, "scores": 5, "failures": 1}  # classes of an image and run
SIDE = 320  # pixels of a picture's longer side


@dataclass(frozen=True)
class Example:
    """One image with one run.

    Attributes:
        name: the image's, in the index.
        run: number of the run.
        present: names of the classes that the image shows.
        unknown: names of those of which nobody knows.
        shown: names of the classes that the figure shows, the most probable first; of
            a failure, the class that the run is wrong about.
        probabilities: of these.
        maps: the attention of these [K, rows, columns]; without any, [0, 0, 0].
        picture: JPEG.
    """

    name: str
    run: int
    present: tuple[str, ...]
    unknown: tuple[str, ...]
    shown: tuple[str, ...]
    probabilities: tuple[float, ...]
    maps: np.ndarray
    picture: bytes

    def pixels(self) -> np.ndarray:
        """Return the picture, uint8 [H, W, 3]."""
        with Image.open(io.BytesIO(self.picture)) as file:
            return np.asarray(file.convert("RGB"))


@dataclass(frozen=True)
class Examples:
    """All that one figure shows of a data set.

    Attributes:
        kind: see `KINDS`.
        dataset: its name.
        runs: method, prop and seed of each run.
        rows: image by image, for each of them run by run.
    """

    kind: str
    dataset: str
    runs: Sequence[dict[str, Any]]
    rows: Sequence[Example]

    def save(self, path: str | PathLike) -> None:
        """Write them as HDF5; equal examples give equal bytes."""
        with hdf5.writing(path) as file:
            file.attrs["kind"], file.attrs["dataset"] = self.kind, self.dataset
            file.attrs["runs"] = json.dumps(list(self.runs))
            for number, row in enumerate(self.rows):
                group = file.create_group(f"{number:03}")
                group["maps"] = row.maps.astype(np.float32)
                group["picture"] = np.frombuffer(row.picture, np.uint8)
                texts = {
                    key: getattr(row, key)
                    for key in vars(row)
                    if key not in ("maps", "picture")
                }
                group.attrs["texts"] = json.dumps(texts)

    @classmethod
    def load(cls, path: str | PathLike) -> "Examples":
        """Read examples.

        Raises:
            UserError: the file is missing, damaged or something else.
        """
        with hdf5.reading(
            path,
            missing="make it with `mlrpl examples`",
            damaged="is not a file of examples",
            remedy="make it with `mlrpl examples`",
        ) as file:
            runs = json.loads(hdf5.text_of(file, "runs"))
            named = hdf5.text_of(file, "kind"), hdf5.text_of(file, "dataset")
            rows = []
            for group in file.values():
                texts = json.loads(group.attrs["texts"])
                for key in ("present", "unknown", "shown", "probabilities"):
                    texts[key] = tuple(texts[key])
                data = {"maps": group["maps"][:]}
                data["picture"] = group["picture"][:].tobytes()
                rows.append(Example(**texts, **data))
            return cls(*named, runs, rows)


def gather(
    kind: str,
    index: Index,
    images: str | PathLike,
    runs: Sequence[str | PathLike],
    features: Sequence[str | PathLike],
    choice: Choice,
) -> Examples:
    """Return the examples of a figure.

    Args:
        kind: see `KINDS`.
        index: the test images.
        images: their archive or folder.
        runs: folders of the runs.
        features: all shards of the test images.
        choice: which images. Of failures only their number counts: they are each
            run's own (`choice.confident_errors`).

    Raises:
        UserError: files that are missing or do not belong together, a map of a method
            without attention, or images that the choice names and that are not there.
    """
    rankings = [_ranking(Path(run), index) for run in runs]
    if kind == "failures":
        asked = [
            (row, number, [c])
            for number, (ranking, _, threshold) in enumerate(rankings)
            for row, c in confident_errors(
                ranking, index.labels, choice.count, threshold
            )
        ]
    else:
        asked = [
            (row, number, np.argsort(-ranking[row], kind="stable")[: SHOWN[kind]])
            for row in drawn(index, choice)
            for number, (ranking, _, _) in enumerate(rankings)
        ]
    cache = FeatureCache(features)
    maps = _maps(kind, index, runs, cache, asked)
    described = [find_layout(run).record for run in runs]
    keys = ("method", "prop", "seed")
    turned = cache.provenance["interpolation"] == TURNED
    with open_archive(images) as archive:
        rows = [
            Example(
                name=index.images[row],
                run=number,
                present=_names(index, row, 1),
                unknown=_names(index, row, 0),
                shown=tuple(index.classes[c] for c in classes),
                probabilities=tuple(rankings[number][1][row, list(classes)].tolist()),
                maps=own,
                picture=_jpeg(archive.read(index.images[row]), turned),
            )
            for (row, number, classes), own in zip(asked, maps, strict=True)
        ]
    chosen = [{key: record[key] for key in keys} for record in described]
    return Examples(kind, index.dataset, chosen, rows)


def _ranking(run: Path, index: Index) -> tuple[np.ndarray, np.ndarray, float]:
    """Return a run's last test scores, their probabilities, and its threshold."""
    score = find_layout(run).record["options"]["score"]
    path = run / "scores.h5"
    with hdf5.reading(
        path,
        missing="train the setting first",
        damaged="is not a file of scores",
        remedy="train the setting again",
    ) as file:
        ranking = hdf5.array_of(file, "last")[:]
        same = hdf5.text_of(file, "images_sha256") == index.hash()
        threshold = float(file.attrs["threshold"])
    if not same or ranking.shape != index.labels.shape:
        raise UserError(
            f"{path}: the scores are of other images than the index of {index.dataset} "
            f"{index.split} lists; train the setting again"
        )
    values = torch.from_numpy(ranking)
    # The ranking of a softmax is a logarithm, that of a sigmoid its logit.
    p = values.exp() if score == "softmax" else values.sigmoid()
    return ranking, p.numpy(), threshold


def _maps(
    kind: str,
    index: Index,
    runs: Sequence[str | PathLike],
    cache: FeatureCache,
    asked: Sequence[tuple[int, int, Sequence[int]]],
) -> list[np.ndarray]:
    """Return the attention [K, rows, columns] of the classes of each example."""
    none = np.zeros((0, 0, 0), np.float32)
    if kind == "scores":
        return [none] * len(asked)
    found = []
    loaded: dict[int, Any] = {}
    for row, number, classes in asked:
        if number not in loaded:
            loaded[number] = load_run(runs[number])
            check_attention(loaded[number].method, str(runs[number]))
            cache.check(index, loaded[number].inputs.clip.metadata)
        with torch.inference_mode():
            maps = torch.from_numpy(cache.take("map", [row])).float()
            attended = attention(loaded[number].method, maps)[0, list(classes)]
        found.append(attended.unflatten(-1, cache.grid).numpy())
    return found


def _names(index: Index, row: int, label: int) -> tuple[str, ...]:
    return tuple(index.classes[c] for c in np.flatnonzero(index.labels[row] == label))


def _jpeg(data: bytes, exif_rotation: bool) -> bytes:
    """Return a picture in the size that a figure shows, turned as its features were."""
    file = io.BytesIO()
    small = Image.fromarray(read_picture(data, SIDE, exif_rotation))
    small.save(file, "JPEG", quality=90)
    return file.getvalue()
