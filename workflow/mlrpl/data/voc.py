"""PASCAL VOC's layout, XML annotations and image sets, to an index."""

import codecs
import posixpath
from collections.abc import Iterator, Sequence
from os import PathLike

import numpy as np

from mlrpl.archives.formats import Archive, open_archive, some
from mlrpl.archives.names import PICTURE_SUFFIXES, Names, own_names
from mlrpl.data.checks import checked
from mlrpl.data.index import Index
from mlrpl.data.voc_xml import read_annotation
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
# What an image set of one class has behind the id: absent, difficult, present.
_LABELS = ("-1", "0", "1")


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
            order, one id a line. An id is what precedes `.xml` in the name of an
            annotation; it may have spaces, quotes around it, the ending of the image
            or a folder before it.
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
        names = Names.of(archive)
        source = _image_set(archive, imageset)
        where = f"{archive.path}: {source}"
        year = source.removesuffix(f"ImageSets/Main/{imageset}.txt")
        lines = _lines(archive, source)
        labels = np.full((len(lines), len(column)), -1, np.int8)
        paths = []
        for row, line in enumerate(lines):
            image_id, annotation = _annotation(
                line, f"{year}Annotations/", names, where
            )
            paths.append(_image(f"{year}JPEGImages/{image_id}", names, where, archive))
            hard, easy = _objects(archive, annotation, column)
            labels[row, hard] = DIFFICULT[difficult]
            labels[row, easy] = 1
        index = Index(dataset, split, tuple(classes), tuple(paths), labels)
        return checked(index, archive, where, allow_empty_classes)


def _image_set(archive: Archive, imageset: str) -> str:
    """Return the member that lists an image set, whatever the year's folder."""
    folder = "/ImageSets/Main/"
    names = own_names(archive.names())
    sets = [n for n in names if folder in "/" + n and n.endswith(".txt")]
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


def _lines(archive: Archive, source: str) -> list[str]:
    """Return the lines of an image set that are not blank."""
    data = archive.read(source)
    encoding = "utf-8-sig"
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    try:
        lines = data.decode(encoding).splitlines()
    except UnicodeDecodeError as error:
        raise UserError(
            f"{archive.path}: {source} is not text in UTF-8 ({error}); save it so"
        ) from error
    return [line.strip() for line in lines if line.strip()]


def _annotation(line: str, folder: str, names: Names, where: str) -> tuple[str, str]:
    """Return the id in a line of an image set, and the file of its annotation.

    Raises:
        UserError: there is no such file, for whatever part of the line.
    """
    for image_id in _ids(line):
        if (file := f"{folder}{image_id}.xml") in names:
            return image_id, file
    for image_id in _ids(line):
        if file := names.find(f"{folder}{image_id}.xml"):
            return posixpath.splitext(file.removeprefix(folder))[0], file
    plain = next(_ids(line)).split()
    shown = plain[0] if line.isprintable() and len(plain) == 1 else repr(line)
    file = f"{folder}{plain[0] if len(plain) == 1 else line}.xml"
    raise UserError(
        f"{where}: image {shown} has no annotation {file}{names.hint(file)}; use the "
        "archive that has both, or write what precedes .xml in its name"
    )


def _ids(line: str) -> Iterator[str]:
    """Yield what may be the id in a line, the likeliest first."""
    whole, _, label = line.replace("\t", " ").rpartition(" ")
    texts = (line, line[: len(whole)].strip()) if label in _LABELS else (line,)
    for text in texts:
        quoted = len(text) > 2 and text[0] == text[-1] and text[0] in "\"'"
        for name in (text, text[1:-1]) if quoted else (text,):
            stem, suffix = posixpath.splitext(name)
            ending = suffix.lower() in (*PICTURE_SUFFIXES, ".xml")
            for form in (name, stem) if ending else (name,):
                yield form
                yield posixpath.basename(form.replace("\\", "/"))


def _image(stem: str, names: Names, where: str, archive: Archive) -> str:
    """Return the one image of a name without its ending.

    Raises:
        UserError: there is none, or several.
    """
    found = names.with_stem(stem)
    if len(found) > 1:
        raise UserError(
            f"{where}: annotated image {stem} is there as {some(found)}; keep one of "
            "them"
        )
    if not found and (other := names.find(f"{stem}.jpg")):
        return other
    if not found:
        raise UserError(
            f"{where}: annotated image {stem}.jpg is not in {archive.path}, nor with "
            f"another ending ({', '.join(PICTURE_SUFFIXES[1:])})"
            f"{names.hint(f'{stem}.jpg')}; use the archive that the annotations "
            "belong to"
        )
    return found[0]


def _objects(
    archive: Archive, annotation: str, column: dict[str, int]
) -> tuple[list[int], list[int]]:
    """Return the columns of the difficult and of the other objects of one image."""
    where = f"{archive.path}: {annotation}"
    hard: list[int] = []
    easy: list[int] = []
    for item in read_annotation(archive.read(annotation), where).objects:
        if item.name not in column:
            raise UserError(
                f"{where}: object {item.name!r} is not one of the classes "
                f"{some(tuple(column))}; add it to the classes"
            )
        (hard if item.difficult else easy).append(column[item.name])
    return hard, easy
