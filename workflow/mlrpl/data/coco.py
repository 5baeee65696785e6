"""COCO instances JSON to an index, by pycocotools, read in place from its zip."""

import contextlib
import io
from collections.abc import Sequence
from os import PathLike
from pathlib import Path

import numpy as np
from pycocotools.coco import COCO

from mlrpl.archives.formats import open_archive, some
from mlrpl.data.checks import checked
from mlrpl.data.coco_json import Id, read_instances
from mlrpl.data.index import Index
from mlrpl.errors import UserError

KEEP = ("labelled", "all")


def read_index(
    images: str | PathLike,
    annotations: str | PathLike,
    *,
    dataset: str,
    split: str,
    member: str | None = None,
    keep: str = "labelled",
    prefix: str = "",
    classes: Sequence[str] | None = None,
    allow_empty_classes: bool = False,
) -> Index:
    """Return the index of one split of a data set in COCO's layout.

    A class is present where an image has any object of it, a crowd included, and
    absent elsewhere. Rows are in the order of the JSON's `images`.

    Args:
        images: archive or folder with the images.
        annotations: the instances JSON, plain or packed, or the zip, tar or folder
            that holds it.
        dataset: the data set's name.
        split: the split's name.
        member: the JSON's name inside the archive of annotations; needed where that
            holds several.
        keep: `labelled`, the images with at least one object, or `all`.
        prefix: what precedes the JSON's `file_name` in the images' archive.
        classes: names of the categories to take, in the order of the columns; by
            default all, in the order of their ids. Objects of others still make their
            image a labelled one.
        allow_empty_classes: accept classes without any positive label.

    Raises:
        UserError: unreadable files, annotations that name an unknown image or
            category, or what `checked` refuses.
    """
    if keep not in KEEP:
        raise UserError(f"keep: {keep!r} is not allowed; give {' or '.join(KEEP)}")
    coco, ids, source = _load(Path(annotations), member)
    stray = [i for i in coco.imgToAnns if i not in coco.imgs]
    if stray:
        raise UserError(
            f"{source}: annotation {coco.imgToAnns[stray[0]][0].get('id')} is for "
            f"image {stray[0]}, which its images do not list; repair the file"
        )
    categories = ids if classes is None else _chosen(coco, classes, source)
    column = {category: c for c, category in enumerate(categories)}
    rows = [i for i in coco.imgs if keep == "all" or i in coco.imgToAnns]
    labels = np.full((len(rows), len(categories)), -1, np.int8)
    for row, image in enumerate(rows):
        # imgToAnns is a defaultdict: a plain look-up would add the image
        for annotation in coco.imgToAnns.get(image, ()):
            if annotation["category_id"] not in coco.cats:
                raise UserError(
                    f"{source}: annotation {annotation.get('id')} has category "
                    f"{annotation['category_id']}, which its categories do not "
                    "list; repair the file"
                )
            if (c := column.get(annotation["category_id"])) is not None:
                labels[row, c] = 1
    index = Index(
        dataset=dataset,
        split=split,
        classes=tuple(coco.cats[category]["name"] for category in categories),
        images=tuple(prefix + coco.imgs[image]["file_name"] for image in rows),
        labels=labels,
    )
    with open_archive(images) as archive:
        return checked(
            index,
            archive,
            source,
            allow_empty_classes,
            prefix=prefix,
            remove_class="list the classes to take without it (classes)",
        )


def _chosen(coco: COCO, classes: Sequence[str], source: str) -> list[Id]:
    """Return the ids of the categories that were asked for, in that order."""
    ids: dict[str, list[Id]] = {}
    for category, entry in coco.cats.items():
        ids.setdefault(entry["name"], []).append(category)
    for name in classes:
        if len(ids.get(name, ())) != 1:
            count = len(ids[name]) if name in ids else "no"
            raise UserError(
                f"{source}: classes: {count} categories are called {name}; its "
                f"categories are {some(list(ids), 100)}"
            )
    return [ids[name][0] for name in classes]


def _load(path: Path, member: str | None) -> tuple[COCO, list[Id], str]:
    """Return parsed annotations, category ids in order, and the name for messages."""
    instances = read_instances(path, member)
    coco = COCO()
    coco.dataset = instances.content
    with contextlib.redirect_stdout(io.StringIO()):
        coco.createIndex()
    return coco, list(instances.order), instances.source
