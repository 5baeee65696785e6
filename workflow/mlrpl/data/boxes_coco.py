"""The boxes of a COCO instances JSON."""

import json
from os import PathLike
from pathlib import Path
from typing import Any

from mlrpl.archives.formats import open_archive, some
from mlrpl.data.boxes import Boxes, collected
from mlrpl.data.index import Index
from mlrpl.errors import UserError


def read_boxes(
    annotations: str | PathLike,
    index: Index,
    *,
    member: str | None = None,
    prefix: str = "",
) -> Boxes:
    """Return the boxes of an index's images; crowds are special.

    COCO's `bbox` is left, top, width and height in pixels, the edges between them
    counted from 0.

    Args:
        annotations: the instances JSON, or the zip, tar or folder that holds it.
        index: the split, as `data.coco` read it from the same JSON.
        member: the JSON's name inside the archive.
        prefix: what precedes the JSON's `file_name` in the index.

    Raises:
        UserError: a file without boxes or sizes of images, or of other classes.
    """
    source, content = _load(Path(annotations), member)
    row = {name: number for number, name in enumerate(index.images)}
    column = {name: number for number, name in enumerate(index.classes)}
    try:
        images = {
            image["id"]: (row[name], image)
            for image in content["images"]
            if (name := prefix + image["file_name"]) in row
        }
        class_of = {c["id"]: column.get(c["name"]) for c in content["categories"]}
        shown = [a for a in content["annotations"] if a["image_id"] in images]
        classes = [class_of[annotation["category_id"]] for annotation in shown]
    except (KeyError, TypeError) as error:
        raise UserError(
            f"{source}: is not a COCO instances file (it has no {error}); give one "
            "with images, annotations and categories"
        ) from error
    if len(images) < len(row) or None in classes:
        raise UserError(
            f"{source}: has other images or classes than the index of {index.dataset} "
            f"{index.split}; make the index again from this file"
        )
    rows = []
    for annotation, class_ in zip(shown, classes, strict=True):
        number, image = images[annotation["image_id"]]
        try:
            left, top, width, height = map(float, annotation["bbox"])
            across, down = float(image["width"]), float(image["height"])
            if min(across, down) <= 0:
                raise ValueError(f"size {across:g}x{down:g}")
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(
                f"{source}: annotation {annotation.get('id')} or its image "
                f"{image['file_name']} has no usable bbox, width and height "
                f"({' '.join(str(error).split())}); add them, or set "
                "experiments.localisation to null"
            ) from error
        corners = (
            *(left / across, top / down),
            *((left + width) / across, (top + height) / down),
        )
        rows.append((number, class_, corners, bool(annotation.get("iscrowd", 0))))
    return collected(rows, index)


def _load(path: Path, member: str | None) -> tuple[str, dict[str, Any]]:
    """Return what the file is called in messages, and its content."""
    if path.suffix == ".json" and path.is_file():
        source, text = str(path), path.read_bytes()
    else:
        with open_archive(path) as archive:
            found = [member] if member else archive.names()
            found = [name for name in found if name.endswith(".json")]
            if len(found) != 1:
                raise UserError(
                    f"{path}: holds {len(found)} JSON files ({some(found)}); name one "
                    "of them as the member"
                )
            source, text = f"{path}: {found[0]}", archive.read(found[0])
    try:
        return source, json.loads(text, object_pairs_hook=_without_polygons)
    except ValueError as error:
        raise UserError(
            f"{source}: is not JSON ({error}); fetch it again or repair it"
        ) from error


def _without_polygons(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Leave out what is most of the file and of the memory."""
    return {key: value for key, value in pairs if key != "segmentation"}
