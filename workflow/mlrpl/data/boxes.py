"""Boxes of a split's objects: where in its pictures each class is shown."""

from dataclasses import dataclass
from os import PathLike

import numpy as np

from mlrpl.data.index import Index
from mlrpl.errors import UserError
from mlrpl.runtime import hdf5


@dataclass(frozen=True, eq=False)
class Boxes:
    """M boxes, in the order of the split's images.

    Attributes:
        image: int32 [M], the image's row in the index.
        class_: int32 [M], the class's column there.
        corners: float64 [M, 4]: left, top, right, bottom as shares of the picture's
            width and height, 0 to 1, so that they hold for the picture at any size.
        special: bool [M], a crowd in COCO, a difficult object in VOC.
        images_sha256: the hash of the index's image names.
    """

    image: np.ndarray
    class_: np.ndarray
    corners: np.ndarray
    special: np.ndarray
    images_sha256: str

    def of(self, image: int, class_: int) -> np.ndarray:
        """Return the corners [m, 4] of one class's boxes in one image."""
        first, last = np.searchsorted(self.image, [image, image + 1])
        return self.corners[first:last][self.class_[first:last] == class_]

    def save(self, path: str | PathLike) -> None:
        """Write the boxes as HDF5; equal boxes give equal bytes."""
        with hdf5.writing(path) as file:
            file["image"], file["class"] = self.image, self.class_
            file["corners"], file["special"] = self.corners, self.special
            file.attrs["images_sha256"] = self.images_sha256

    @classmethod
    def load(cls, path: str | PathLike, index: Index) -> "Boxes":
        """Read the boxes of an index's images.

        Raises:
            UserError: the file is not there, is no file of boxes, or of other images.
        """
        with hdf5.reading(
            path,
            missing="make it with `mlrpl boxes` first",
            damaged="is not a file of boxes",
            remedy="make it again with `mlrpl boxes`",
        ) as file:
            names = ("image", "class", "corners", "special")
            found = cls(
                *(hdf5.array_of(file, name)[:] for name in names),
                images_sha256=hdf5.text_of(file, "images_sha256"),
            )
        if found.images_sha256 != index.hash():
            raise UserError(
                f"{path}: its boxes are of other images than {index.dataset} "
                f"{index.split} has; make it again with `mlrpl boxes`"
            )
        return found


def collected(rows: list[tuple[int, int, tuple, bool]], index: Index) -> Boxes:
    """Return the boxes of (image, class, corners, special), sorted by image.

    What lies outside the picture is cut off, as annotations may reach over the edge.
    """
    rows = sorted(rows, key=lambda row: row[0])
    corners = np.array([row[2] for row in rows], np.float64).reshape(-1, 4)
    return Boxes(
        image=np.array([row[0] for row in rows], np.int32),
        class_=np.array([row[1] for row in rows], np.int32),
        corners=corners.clip(0, 1),
        special=np.array([row[3] for row in rows], bool),
        images_sha256=index.hash(),
    )
