"""COCO instances JSON to an index, by pycocotools, read in place from its zip."""

import contextlib
import io
import json
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools.coco import COCO

from mlrpl.archives.formats import open_archive, some
from mlrpl.data.checks import checked
from mlrpl.data.index import Index
from mlrpl.errors import UserError

KEEP = ("labelled", "all")
# Not needed for image labels; the polygons are most of the file and of the memory.
_UNUSED = {"segmentation", "bbox", "area"}


def read_index(
    images: str | PathLike,
    annotations: str | PathLike,
    *,
    dataset: str,
    split: str,
    member: str | None = None,
    keep: str = "labelled",
    prefix: str = "",
    allow_empty_classes: bool = False,
) -> Index:
    """Return the index of one split of a data set in COCO's layout.

    A class is present where an image has any object of it, a crowd included, and
    absent elsewhere. Classes are in the order of their category ids, rows in the
    order of the JSON's `images`.

    Args:
        images: archive or folder with the images.
        annotations: the instances JSON, or the zip, tar or folder that holds it.
        dataset: the data set's name.
        split: the split's name.
        member: the JSON's name inside the archive of annotations; needed where that
            holds several.
        keep: `labelled`, the images with at least one object, or `all`.
        prefix: what precedes the JSON's `file_name` in the images' archive.
        allow_empty_classes: accept classes without any positive label.

    Raises:
        UserError: unreadable files, annotations that name an unknown image or
            category, or what `checked` refuses.
    """
    if keep not in KEEP:
        raise UserError(f"keep: {keep!r} is not allowed; give {' or '.join(KEEP)}")
    coco, source = _load(Path(annotations), member)
    stray = [i for i in coco.imgToAnns if i not in coco.imgs]
    if stray:
        raise UserError(
            f"{source}: annotation {coco.imgToAnns[stray[0]][0].get('id')} is for "
            f"image {stray[0]}, which its images do not list; repair the file"
        )
    if len(coco.imgs) != len(coco.dataset["images"]):
        raise UserError(
            f"{source}: images share an id; give every image an id of its own"
        )
    categories = sorted(coco.getCatIds())
    column = {category: c for c, category in enumerate(categories)}
    rows = [i for i in coco.imgs if keep == "all" or i in coco.imgToAnns]
    labels = np.full((len(rows), len(categories)), -1, np.int8)
    for row, image in enumerate(rows):
        # imgToAnns is a defaultdict: a plain look-up would add the image
        for annotation in coco.imgToAnns.get(image, ()):
            if annotation["category_id"] not in column:
                raise UserError(
                    f"{source}: annotation {annotation.get('id')} has category "
                    f"{annotation['category_id']}, which its categories do not "
                    "list; repair the file"
                )
            labels[row, column[annotation["category_id"]]] = 1
    index = Index(
        dataset=dataset,
        split=split,
        classes=tuple(coco.cats[category]["name"] for category in categories),
        images=tuple(prefix + coco.imgs[image]["file_name"] for image in rows),
        labels=labels,
    )
    with open_archive(images) as archive:
        return checked(index, archive, source, allow_empty_classes)


def _load(path: Path, member: str | None) -> tuple[COCO, str]:
    """Return the parsed annotations and the name of their file for messages."""
    if path.suffix == ".json" and path.is_file():
        source, text = str(path), path.read_bytes()
    else:
        with open_archive(path) as archive:
            if member is None:
                found = [n for n in archive.names() if n.endswith(".json")]
                if len(found) != 1:
                    raise UserError(
                        f"{path}: holds {len(found)} JSON files ({some(found)}); "
                        "name one of them as the member"
                    )
                member = found[0]
            source, text = f"{path}: {member}", archive.read(member)
    try:
        content = json.loads(text, object_pairs_hook=_without_unused)
    except ValueError as error:  # broken JSON, or bytes that are not text
        raise UserError(
            f"{source}: is not JSON ({error}); fetch it again or repair it"
        ) from error
    coco = COCO()
    coco.dataset = content
    try:
        for image in content["images"]:
            image["file_name"] + ""
        for annotation in content["annotations"]:
            annotation["category_id"]  # captions have none
        for category in content["categories"]:
            category["name"] + ""
        with contextlib.redirect_stdout(io.StringIO()):
            coco.createIndex()
    except (KeyError, TypeError) as error:
        raise UserError(
            f"{source}: is not a COCO instances file (it has no {error}); give "
            "one with images, annotations and categories"
        ) from error
    return coco, source


def _without_unused(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    return {key: value for key, value in pairs if key not in _UNUSED}
