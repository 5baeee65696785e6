"""PASCAL VOC's layout, XML annotations and image sets, to an index."""

import posixpath
from collections.abc import Sequence
from os import PathLike
from xml.etree import ElementTree

import numpy as np

from mlrpl.archives.formats import Archive, open_archive, some
from mlrpl.data.checks import checked
from mlrpl.data.index import Index
from mlrpl.errors import UserError

VOC_CLASSES = (
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
)
# Label of a class of which an image shows difficult objects only.
DIFFICULT = {"negative": -1, "ignore": 0, "positive": 1}
_SUFFIXES = (".jpg", ".jpeg", ".png", ".JPG", ".JPEG", ".PNG")


def read_index(
    images: str | PathLike,
    imageset: str,
    *,
    dataset: str,
    split: str,
    difficult: str = "negative",
    classes: Sequence[str] = VOC_CLASSES,
    allow_empty_classes: bool = False,
) -> Index:
    """Return the index of one image set of a data set in VOC's layout.

    Args:
        images: archive or folder that holds one year's `JPEGImages`, `Annotations`
            and `ImageSets/Main`, at any depth.
        imageset: the image set, for instance `trainval`; its file gives the rows'
            order, one id a line.
        dataset: the data set's name.
        split: the split's name.
        difficult: the label of a class that an image shows in difficult objects
            only: `negative`, `ignore` (0, unknown) or `positive`.
        classes: class names, in the order of the columns.
        allow_empty_classes: accept classes without any positive label.

    Raises:
        UserError: files that are missing or broken, an object whose name is not a
            class, or what `checked` refuses.
    """
    if difficult not in DIFFICULT:
        raise UserError(
            f"difficult: {difficult!r} is not allowed; give {', '.join(DIFFICULT)}"
        )
    column = {name: c for c, name in enumerate(classes)}
    with open_archive(images) as archive:
        names = set(archive.names())
        source = _image_set(archive, imageset)
        where = f"{archive.path}: {source}"
        year = source.removesuffix(f"ImageSets/Main/{imageset}.txt")
        ids = _ids(archive, source)
        labels = np.full((len(ids), len(column)), -1, np.int8)
        paths = []
        for row, image_id in enumerate(ids):
            annotation = f"{year}Annotations/{image_id}.xml"
            if annotation not in names:
                raise UserError(
                    f"{where}: image {image_id} has no annotation {annotation}; "
                    "use the archive that has both"
                )
            paths.append(_image(f"{year}JPEGImages/{image_id}", names))
            hard, easy = _objects(archive, annotation, column)
            labels[row, hard] = DIFFICULT[difficult]
            labels[row, easy] = 1
        index = Index(dataset, split, tuple(classes), tuple(paths), labels)
        return checked(index, archive, where, allow_empty_classes)


def _image_set(archive: Archive, imageset: str) -> str:
    """Return the member that lists an image set, whatever the year's folder."""
    folder = "/ImageSets/Main/"
    sets = [n for n in archive.names() if folder in "/" + n and n.endswith(".txt")]
    found = [n for n in sets if posixpath.basename(n) == f"{imageset}.txt"]
    if len(found) == 1:
        return found[0]
    if found:
        raise UserError(
            f"{archive.path}: has the image set {imageset} of several years "
            f"({some(found)}); give the folder of one year"
        )
    there = [posixpath.basename(name).removesuffix(".txt") for name in sets]
    raise UserError(
        f"{archive.path}: has no {folder[1:]}{imageset}.txt; the image sets there are: "
        f"{some(there)}"
    )


def _ids(archive: Archive, source: str) -> list[str]:
    try:
        lines = archive.read(source).decode().splitlines()
    except UnicodeDecodeError as error:
        raise UserError(
            f"{archive.path}: {source} is not text; fetch the archive again"
        ) from error
    # the image sets of a class have a label behind the id
    return [line.split()[0] for line in lines if line.strip()]


def _image(stem: str, names: set[str]) -> str:
    """Return the image's name; the usual one, to be reported, where there is none."""
    return next((stem + s for s in _SUFFIXES if stem + s in names), stem + ".jpg")


def _objects(
    archive: Archive, annotation: str, column: dict[str, int]
) -> tuple[list[int], list[int]]:
    """Return the columns of the difficult and of the other objects of one image."""
    where = f"{archive.path}: {annotation}"
    try:
        root = ElementTree.fromstring(archive.read(annotation))
    except ElementTree.ParseError as error:
        raise UserError(
            f"{where}: is not XML ({error}); fetch the archive again or repair it"
        ) from error
    hard: list[int] = []
    easy: list[int] = []
    for item in root.findall("object"):
        name = (item.findtext("name") or "").strip()
        if name not in column:
            raise UserError(
                f"{where}: object {name!r} is not one of the classes "
                f"{some(tuple(column))}; add it to the classes"
            )
        flag = (item.findtext("difficult") or "0").strip()
        if flag not in ("0", "1"):
            raise UserError(f"{where}: difficult is {flag!r}; write 0 or 1")
        (hard if flag == "1" else easy).append(column[name])
    return hard, easy
