"""The index of one split: image names, class names and the full label matrix."""

import hashlib
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import h5py
import numpy as np

from mlrpl.errors import UserError
from mlrpl.runtime.storage import atomic_path


@dataclass(frozen=True, eq=False)
class Index:
    """One split of a data set, in its published order.

    Attributes:
        dataset: the data set's name in the config.
        split: `train` or `test`.
        classes: C class names.
        images: N names inside the images' archive or folder.
        labels: int8 [N, C]; 1 present, -1 absent, 0 unknown.
    """

    dataset: str
    split: str
    classes: tuple[str, ...]
    images: tuple[str, ...]
    labels: np.ndarray

    def __post_init__(self) -> None:
        if self.labels.shape != (len(self.images), len(self.classes)):
            raise ValueError(
                f"labels are {self.labels.shape}, not "
                f"{(len(self.images), len(self.classes))}"
            )
        if self.labels.dtype != np.int8:
            raise ValueError(f"labels are {self.labels.dtype}, not int8")
        if self.labels.size and (self.labels.min() < -1 or self.labels.max() > 1):
            raise ValueError("labels are not all -1, 0 or 1")

    def hash(self) -> str:
        """Return the SHA-256 of the image names, one on each line."""
        return hashlib.sha256("\n".join(self.images).encode()).hexdigest()

    def save(self, path: str | PathLike) -> None:
        """Write the index as HDF5; equal indexes give equal bytes."""
        with atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
            for name, texts in (("classes", self.classes), ("images", self.images)):
                encoded = [text.encode() for text in texts]
                width = max(map(len, encoded))
                kind = h5py.string_dtype("utf-8", width)
                file.create_dataset(name, data=np.array(encoded, dtype=kind))
            file.create_dataset("labels", data=self.labels)
            file.attrs["dataset"] = self.dataset
            file.attrs["split"] = self.split
            file.attrs["images_sha256"] = self.hash()

    @classmethod
    def load(cls, path: str | PathLike) -> "Index":
        """Read an index.

        Raises:
            UserError: the file is not there, or is not a whole index.
        """
        if not Path(path).is_file():
            raise UserError(
                f"{path}: is not there; make it with the index command first"
            )
        try:
            with h5py.File(path, "r") as file:
                index = cls(
                    dataset=str(file.attrs["dataset"]),
                    split=str(file.attrs["split"]),
                    classes=tuple(t.decode() for t in file["classes"][:]),
                    images=tuple(t.decode() for t in file["images"][:]),
                    labels=file["labels"][:],
                )
                whole = file.attrs["images_sha256"] == index.hash()
        except (OSError, KeyError, ValueError, AttributeError, TypeError) as error:
            raise UserError(
                f"{path}: is not an index of a data set; make it with the index command"
            ) from error
        if not whole:
            raise UserError(
                f"{path}: its image list does not have the hash that was stored "
                "with it; make the index again"
            )
        return index
