"""Cached image features: the shards of one split, read as one array."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mlrpl.data.index import Index
from mlrpl.errors import UserError
from mlrpl.runtime import hdf5
from mlrpl.runtime.hdf5 import CHECKSUMS

# What all shards of a split must agree in, and what else each of them says.
_TEXTS = (
    *("dataset", "split", "encoder", "pretrained", "weights_sha256"),
    *("interpolation", "views", "images_sha256"),
)
# What must be the same of the images that are trained and tested.
_PREPARED = ("image_size", "mean", "std", "interpolation", "grid")
_NUMBERS = ("image_size", "images_total")
_LISTS = {"mean": 3, "std": 3, "grid": 2}
_OWN = ("start", "stop")
# The axes of each kind of features.
AXES = {"map": 4, "global": 3, "max": 3, "tokens": 4}

_DAMAGED = "is not a whole feature file"
_REMEDY = "remake it with `mlrpl features`"


@dataclass(frozen=True)
class _Shard:
    path: Path
    start: int
    stop: int
    shapes: Mapping[str, tuple[int, ...]]
    common: Mapping[str, Any]
    sums: Mapping[str, np.ndarray]


class FeatureCache:
    """The features of one split.

    Attributes:
        views: names of the V views; the first is the one that is tested.
        grid: rows and columns of the map's locations.
        encoder: the model that made the features.
        weights_sha256: the hash of its image tower.
        provenance: all that the shards say of how they were made, as text by name.
    """

    def __init__(self, paths: Sequence[str | PathLike]):
        """Look at all shards, in any order; features are read when asked for.

        Raises:
            UserError: when a shard is missing or damaged, or they do not make up one
                whole split.
        """
        if not paths:
            raise UserError("features: no file is given; name all shards of the split")
        self._shards = sorted(
            (_read_shard(Path(path)) for path in paths),
            key=lambda shard: (shard.start, shard.stop),
        )
        first = self._shards[0]
        for shard in self._shards[1:]:
            for name, value in shard.common.items():
                if value != first.common[name]:
                    raise UserError(
                        f"{shard.path}: its {name} is {_short(value)}, that of "
                        f"{first.path} {_short(first.common[name])}; remake both "
                        "with one `mlrpl features` call each"
                    )
            for name in shard.shapes.keys() & first.shapes.keys():
                shape, other = shard.shapes[name], first.shapes[name]
                if shape[1:] != other[1:]:
                    raise UserError(
                        f"{shard.path}: its {name} has the shape {shape}, that of "
                        f"{first.path} {other}; remake both"
                    )
        self._rows = int(first.common["images_total"])
        self._open: dict[tuple[int, str], np.ndarray] = {}
        self._check_whole()
        self.views: tuple[str, ...] = tuple(json.loads(first.common["views"]))
        rows, columns = first.common["grid"]
        self.grid: tuple[int, int] = (int(rows), int(columns))
        self.encoder = str(first.common["encoder"])
        self.weights_sha256 = str(first.common["weights_sha256"])
        self.provenance = {name: str(value) for name, value in first.common.items()}
        self._check_shapes()

    def __len__(self) -> int:
        """The number of images."""
        return self._rows

    def check(self, index: Index, clip: Mapping[str, str]) -> None:
        """Check that the features belong to an index and to a CLIP.

        Args:
            index: the split's index.
            clip: the metadata of `clip.safetensors`.

        Raises:
            UserError: features of other images or of another encoder.
        """
        first = self._shards[0]
        if first.common["images_sha256"] != index.hash():
            raise UserError(
                f"{first.path}: the features are not of the images of {index.dataset} "
                f"{index.split}, or not in their order; remake them with "
                "`mlrpl features`"
            )
        if self.weights_sha256 != clip["weights_sha256"]:
            raise UserError(
                f"{first.path}: the features are of another encoder, {self.encoder} "
                f"({first.common['pretrained']}), than the text tower, "
                f"{clip['encoder']} ({clip['pretrained']}); remake the features, or "
                "the text tower with `mlrpl encoder`"
            )

    def check_like(self, test: "FeatureCache") -> None:
        """Check that the test images came to the encoder as these did.

        Args:
            test: the features that are tested, in their first view.

        Raises:
            UserError: other pixels, normalisation or view than those trained on.
        """
        mine, other = (cache._shards[0] for cache in (self, test))
        pairs = [(n, mine.common[n], other.common[n]) for n in _PREPARED]
        pairs.append(("first view", self.views[0], test.views[0]))
        for name, trained, tested in pairs:
            if trained != tested:
                raise UserError(
                    f"{other.path}: its {name} is {_short(tested)}, and that of the "
                    f"training images in {mine.path} {_short(trained)}; remake one of "
                    "them with `mlrpl features`"
                )

    def read_maps(self, view: int = 0) -> np.ndarray:
        """Return the maps of one view, fp16 [N, L, K]."""
        return self.read("map", view)

    def read_globals(self, view: int = 0) -> np.ndarray:
        """Return the image features of one view, fp16 [N, D], not normalised."""
        return self.read("global", view)

    def shape(self, kind: str) -> tuple[int, ...]:
        """Return [N, L, K] of the maps, [N, D] of the global features or [N, K].

        Args:
            kind: "map", "global" or "max", the maximum over the map's locations before
                pooling, or "tokens" [N, T, D]; so below.

        Raises:
            UserError: features of that kind are not in the files.
        """
        made = "remake it with `mlrpl features`"
        if kind == "tokens":  # they are in files of their own
            made = "give the files of `mlrpl features --tokens`"
        for shard in self._shards:
            if kind not in shard.shapes:
                raise UserError(
                    f"{shard.path}: has no {kind} features, which the method reads; "
                    f"{made}"
                )
        return (self._rows, *self._shards[0].shapes[kind][2:])

    def has(self, kind: str) -> bool:
        """Say whether the files have features of a kind."""
        return all(kind in shard.shapes for shard in self._shards)

    def token_positions(self) -> np.ndarray:
        """Return what position embeddings add to the tokens, fp32 [1 + T, D].

        The first row is that of the mean token.

        Raises:
            UserError: when it is not in the file.
        """
        path = self._shards[0].path
        with _reading(path) as file:
            found = hdf5.array_of(file, "token_positions")[()].astype(np.float32)
        tokens, width = self.shape("tokens")[1:]
        if found.shape != (1 + tokens, width):
            raise UserError(
                f"{path}: its token_positions are {found.shape}, not of its tokens; "
                "remake it with `mlrpl features --tokens`"
            )
        return found

    def pieces(
        self, kind: str, view: int = 0, rows: int = 1024
    ) -> Iterator[tuple[int, np.ndarray]]:
        """Iterate over one view in order, so many images at a time.

        Yields:
            the first image's row, and features fp16 [n, L, K], [n, D] or [n, K].
        """
        self._check_view(view)
        for shard in self._shards:
            for start in range(shard.start, shard.stop, rows):
                stop = min(start + rows, shard.stop)
                out = np.empty((stop - start, *self.shape(kind)[1:]), np.float16)
                self._read_rows(shard, kind, view, start, out)
                yield start, out

    def take(
        self, kind: str, rows: Sequence[int] | np.ndarray, view: int = 0
    ) -> np.ndarray:
        """Return the features of some images, fp16 [len(rows), ...], from the disk."""
        rows = np.asarray(rows)
        self._check_view(view)
        if len(rows) and not 0 <= rows.min() <= rows.max() < self._rows:
            raise IndexError(f"rows {rows.min()} to {rows.max()} of {self._rows}")
        out = np.empty((len(rows), *self.shape(kind)[1:]), np.float16)
        for number, shard in enumerate(self._shards):
            places = np.flatnonzero((rows >= shard.start) & (rows < shard.stop))
            if len(places):
                mapped, own = self._mapped(number, kind), rows[places] - shard.start
                found = mapped[own, view]
                _verify(shard, kind, view, own, found)
                out[places] = found
        return out

    def _mapped(self, number: int, kind: str) -> np.ndarray:
        """Return a shard's features as an array that the system pages in."""
        if (number, kind) not in self._open:
            shard = self._shards[number]
            with _reading(shard.path) as file:
                offset = file[kind].id.get_offset()
                if offset is None:
                    raise ValueError("it is not stored in one piece")
                self._open[number, kind] = np.memmap(
                    shard.path, np.float16, "r", offset, shard.shapes[kind]
                )
        return self._open[number, kind]

    def read(self, kind: str, view: int = 0) -> np.ndarray:
        """Return the features of one view, fp16 [N, L, K], [N, D] or [N, K]."""
        self._check_view(view)
        out = np.empty(self.shape(kind), np.float16)
        for shard in self._shards:
            part = out[shard.start : shard.stop]
            self._read_rows(shard, kind, view, shard.start, part)
        return out

    def _check_view(self, view: int) -> None:
        if not 0 <= view < len(self.views):
            raise IndexError(f"view {view} of {len(self.views)}")

    def _read_rows(
        self, shard: _Shard, kind: str, view: int, start: int, out: np.ndarray
    ) -> None:
        """Fill `out` from row `start` of the split on."""
        if not len(out):
            return
        first = start - shard.start
        with _reading(shard.path) as file:
            file[kind].read_direct(out, np.s_[first : first + len(out), view])
        _verify(shard, kind, view, np.arange(first, first + len(out)), out)

    def _check_whole(self) -> None:
        end = 0
        for shard in self._shards:
            if shard.start < end:
                raise UserError(
                    f"{shard.path}: images {shard.start} to {shard.stop} are there "
                    "twice; give each shard once, all of one number of shards"
                )
            if shard.start > end:
                break
            end = shard.stop
        if end != self._rows:
            raise UserError(
                f"{self._shards[0].path}: of {self._rows} images of the split, those "
                f"from {end} on are missing from the files given; make the missing "
                "shards with `mlrpl features`"
            )

    def _check_shapes(self) -> None:
        views, locations = len(self.views), self.grid[0] * self.grid[1]
        for shard in self._shards:
            count = shard.stop - shard.start
            placed = shard.shapes.get("map") or shard.shapes["tokens"]
            shapes = [*shard.shapes.values(), *(s.shape for s in shard.sums.values())]
            if placed[:3] != (count, views, locations) or any(
                shape[:2] != (count, views) for shape in shapes
            ):
                raise UserError(
                    f"{shard.path}: its arrays do not have the shapes that its "
                    "attributes say; remake it with `mlrpl features`"
                )


def _verify(
    shard: _Shard, kind: str, view: int, rows: np.ndarray, found: np.ndarray
) -> None:
    """Check that features are those that were written, where the file tells.

    Args:
        shard: the file.
        kind: of the features, as for `FeatureCache.shape`.
        view: the view.
        rows: rows of the shard.
        found: the features that were read from there.
    """
    if kind not in shard.sums:
        return
    other = np.flatnonzero(hdf5.checksums(found) != shard.sums[kind][rows, view])
    if len(other):
        image = shard.start + rows[other[0]]
        raise UserError(
            f"{shard.path}: the {kind} features of the split's image {image} are not "
            f"those that were written; delete the file and {_REMEDY}"
        )


def _read_shard(path: Path) -> _Shard:
    with _reading(path) as file:
        common = {name: hdf5.text_of(file, name) for name in _TEXTS}
        common |= {name: hdf5.number_of(file, name) for name in _NUMBERS}
        for name, count in _LISTS.items():
            values = np.asarray(file.attrs[name])
            if values.shape != (count,) or values.dtype.kind not in "iuf":
                raise TypeError(f"its attribute {name} is not {count} numbers")
            common[name] = values.tolist()
        views = json.loads(common["views"])
        if not isinstance(views, list) or len({str(v) for v in views}) != len(views):
            raise TypeError("its attribute views is no list of names")
        start, stop = (hdf5.number_of(file, name) for name in _OWN)
        if not start <= stop <= common["images_total"]:
            raise ValueError(f"it has images {start} to {stop} of the split")
        names = [name for name in ("max", "tokens") if name in file]
        if "map" in file or "tokens" not in file:  # tokens may lie by themselves
            names = ["map", "global", *names]
        arrays = {name: hdf5.array_of(file, name) for name in names}
        shapes = {name: array.shape for name, array in arrays.items()}
        types = {array.dtype for array in arrays.values()}
        sums = {}
        for name in names:
            if name + CHECKSUMS in file:  # older files have none
                sums[name] = hdf5.array_of(file, name + CHECKSUMS)[()]
    if types != {np.dtype(np.float16)} or any(
        len(shape) != AXES[name] for name, shape in shapes.items()
    ):
        raise UserError(
            f"{path}: has no fp16 map [n, V, L, K], global [n, V, D] and max "
            "[n, V, K], or tokens [n, V, T, D]; remake it with `mlrpl features`"
        )
    return _Shard(path, start, stop, shapes, common, sums)


def _reading(path: Path) -> AbstractContextManager[h5py.File]:
    return hdf5.reading(
        path,
        missing="make it with the `mlrpl features` command first",
        damaged=_DAMAGED,
        remedy=_REMEDY,
    )


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 24 else text[:24] + "..."
