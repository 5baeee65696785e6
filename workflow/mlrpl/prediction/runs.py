"""A run of the workflow: its folder, and what lies around it in the results.

Below the results `runs/{dataset}/{method}/prop={prop}/seed={seed}` has the weights;
`clip`, `data` and `features` have what its training started from.
"""

import json
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from mlrpl.encoder.images import TURNED, Preparation
from mlrpl.errors import UserError
from mlrpl.methods.inputs import Inputs
from mlrpl.prediction.trained import Encoder, Trained, build_method, read_thresholds
from mlrpl.runtime import hdf5
from mlrpl.text.clip_text import ClipText
from mlrpl.training.stored import read_array
from mlrpl.training.validation_split import divided

NEEDED = ("run.json", "weights.safetensors")


@dataclass(frozen=True)
class Layout:
    """Where the files of a run are.

    Attributes:
        folder: the run's own.
        results: the results' folder.
        record: the content of `run.json`.
    """

    folder: Path
    results: Path
    record: dict[str, Any]

    @property
    def images(self) -> str:
        """The data set whose images and features the run's data set has."""
        return self.record.get("same_images_as", self.record["dataset"])

    @property
    def clip(self) -> Path:
        """The text side of CLIP."""
        return self.results / f"clip/{self.images}.safetensors"

    @property
    def glove(self) -> Path:
        """The class vectors."""
        return self.results / f"data/{self.images}/glove.npy"

    @property
    def known(self) -> Path:
        """The partial labels."""
        place = "/".join(self.folder.parts[-2:])
        return self.results / f"data/{self.record['dataset']}/known/{place}.npy"

    def features(self, split: str) -> list[Path]:
        """The feature files of a split that are there, in the order of the shards."""
        folder = self.results / f"features/{self.images}/{split}"
        found = [*folder.glob("[0-9]*.h5")] or [*folder.glob("tokens/[0-9]*.h5")]
        return sorted(found, key=lambda path: (len(path.name), path))


def find_layout(folder: str | PathLike) -> Layout:
    """Return where a run's files are.

    Raises:
        UserError: the folder is not one of a whole run.
    """
    path = Path(folder).resolve()
    if missing := [name for name in NEEDED if not (path / name).is_file()]:
        raise UserError(
            f"{folder}: has no {missing[0]}; give the folder of a run that has ended, "
            "results/runs/DATASET/METHOD/prop=P/seed=S, or a file that "
            "`mlrpl export` made"
        )
    try:
        record = json.loads((path / "run.json").read_text(encoding="utf-8"))
        for key in ("dataset", "method", "options", "weights_sha256", "seed"):
            record[key]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{folder}/run.json: is not the record of a run ({error}); train the "
            "setting again"
        ) from error
    parents = path.parents
    if len(parents) < 5 or parents[3].name != "runs":
        raise UserError(
            f"{folder}: does not lie in results/runs/DATASET/METHOD/prop=P/seed=S, "
            "where the files are that its training started from; put it back, or give "
            "a file that `mlrpl export` made"
        )
    return Layout(path, parents[4], record)


def load_run(folder: str | PathLike) -> Trained:
    """Return the trained setting of a run's folder.

    Raises:
        UserError: a file of the run, or one that it started from, is missing, damaged
            or of something else.
    """
    layout = find_layout(folder)
    clip = ClipText(layout.clip)
    shards = layout.features("test") or layout.features("train")
    if not shards:
        place = layout.results / f"features/{layout.images}"
        raise UserError(
            f"{place}: has no features, which say how pictures are prepared; make them "
            "with the workflow, or give a file that `mlrpl export` made"
        )
    encoder, preparation, channels, grid = _described(shards[0])
    for path, found in ((layout.clip, clip.metadata), (shards[0], vars(encoder))):
        if found["weights_sha256"] != layout.record["weights_sha256"]:
            raise UserError(
                f"{path}: is of another encoder than the run {folder} was trained "
                "with; make the run again"
            )
    known = read_array(str(layout.known), (None, len(clip.classes)), "drop", "iu")
    options = layout.record["options"]
    share = options.get("validation", 0)
    kept, _ = divided(known, share, layout.record["seed"])
    vectors = read_array(str(layout.glove), (len(clip.classes), None), "glove", "f")
    inputs = Inputs(
        map_channels=channels,
        embed_dim=clip.tensor("text_projection").shape[1],
        class_vectors=torch.from_numpy(vectors.astype(np.float32)),
        clip=clip,
        known=torch.from_numpy(known[kept]),
        grid=grid,
    )
    weights = layout.folder / "weights.safetensors"
    try:
        state = load_file(weights)
    except (OSError, SafetensorError) as error:
        raise UserError(
            f"{weights}: is not a whole safetensors file ({error}); train the setting "
            "again"
        ) from error
    return Trained(
        where=str(folder),
        run=layout.record,
        method=build_method(str(weights), options, inputs, state),
        classes=clip.classes,
        thresholds=_thresholds(layout, clip.classes),
        encoder=encoder,
        preparation=preparation,
        inputs=inputs,
    )


def _thresholds(layout: Layout, classes: tuple[str, ...]) -> torch.Tensor:
    path = layout.folder / "thresholds.json"
    values: Any = {}
    if path.is_file():
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise UserError(
                f'{path}: is not JSON ({error}); write {{"class": 0.5, ...}}'
            ) from error
    return read_thresholds(values, classes, str(path))


def _described(
    shard: Path,
) -> tuple[Encoder, Preparation, int, tuple[int, int]]:
    """Return what a feature file says of encoder, preparation, channels and grid."""
    with hdf5.reading(
        shard,
        missing="make it with the workflow",
        damaged="is not a whole feature file",
        remedy="make it again with the workflow",
    ) as file:
        channels = hdf5.array_of(file, "map").shape[-1] if "map" in file else 0
        names = ("encoder", "pretrained", "weights_sha256")
        encoder = Encoder(*(hdf5.text_of(file, name) for name in names))
        preparation = Preparation(
            image_size=hdf5.number_of(file, "image_size"),
            mean=file.attrs["mean"].tolist(),
            std=file.attrs["std"].tolist(),
            views=json.loads(hdf5.text_of(file, "views"))[:1],
            exif_rotation=hdf5.text_of(file, "interpolation") == TURNED,
        )
        rows, columns = map(int, file.attrs["grid"])
    return encoder, preparation, channels, (rows, columns)
