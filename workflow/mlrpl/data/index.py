"""The index of one split: image names, class names and the full label matrix."""

import hashlib
from dataclasses import dataclass
from os import PathLike

import h5py
import numpy as np

from mlrpl.errors import UserError
from mlrpl.runtime import hdf5


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

    def labels_hash(self) -> str:
        """Return the SHA-256 of the class names, one on each line, and the labels."""
        digest = hashlib.sha256("\n".join(self.classes).encode())
        digest.update(np.ascontiguousarray(self.labels).data)
        return digest.hexdigest()

    def save(self, path: str | PathLike) -> None:
        """Write the index as HDF5; equal indexes give equal bytes."""
        with hdf5.writing(path) as file:
            for name, texts in (("classes", self.classes), ("images", self.images)):
                encoded = [text.encode() for text in texts]
                width = max(map(len, encoded))
                kind = h5py.string_dtype("utf-8", width)
                file.create_dataset(name, data=np.array(encoded, dtype=kind))
            file.create_dataset("labels", data=self.labels)
            file.attrs["dataset"] = self.dataset
            file.attrs["split"] = self.split
            file.attrs["images_sha256"] = self.hash()
            file.attrs["labels_sha256"] = self.labels_hash()

    @classmethod
    def load(cls, path: str | PathLike) -> "Index":
        """Read an index.

        Raises:
            UserError: the file is not there, cannot be read, or is not a whole index.
        """
        with hdf5.reading(
            path,
            missing="make it with the index command first",
            damaged="is not an index of a data set",
            remedy="make it with the index command",
        ) as file:
            index = cls(
                dataset=hdf5.text_of(file, "dataset"),
                split=hdf5.text_of(file, "split"),
                classes=tuple(t.decode() for t in hdf5.array_of(file, "classes")[:]),
                images=tuple(t.decode() for t in hdf5.array_of(file, "images")[:]),
                labels=hdf5.matrix_of(file, "labels"),
            )
            found = {"images": index.hash(), "labels": index.labels_hash()}
            stored = {"images": hdf5.text_of(file, "images_sha256")}
            if "labels_sha256" in file.attrs:  # older indexes have none
                stored["labels"] = hdf5.text_of(file, "labels_sha256")
        for name, value in stored.items():
            if found[name] != value:
                what = "image list" if name == "images" else "label matrix"
                raise UserError(
                    f"{path}: its {what} does not have the hash that was stored with "
                    "it; make the index again"
                )
        return index
