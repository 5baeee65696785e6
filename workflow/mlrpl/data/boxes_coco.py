"""The boxes of a COCO instances JSON."""

from os import PathLike
from pathlib import Path

from mlrpl.archives.names import Names
from mlrpl.data.boxes import Boxes, collected
from mlrpl.data.coco_json import read_instances
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
    instances = read_instances(Path(annotations), member, also=("bbox",))
    source, content = instances.source, instances.content
    row = {name: number for number, name in enumerate(index.images)}
    column = {name: number for number, name in enumerate(index.classes)}
    names = Names(index.images)  # as the archive spells them
    images = {
        image["id"]: (row[name], image)
        for image in content["images"]
        if (name := names.find(prefix + image["file_name"])) is not None
    }
    # The index may have some of the categories alone.
    class_of = {c["id"]: column.get(c["name"]) for c in content["categories"]}
    shown = [
        annotation
        for annotation in content["annotations"]
        if annotation["image_id"] in images
        and class_of.get(annotation["category_id"]) is not None
    ]
    if len(images) < len(row) or set(column) - {
        c["name"] for c in content["categories"]
    }:
        raise UserError(
            f"{source}: has other images or classes than the index of {index.dataset} "
            f"{index.split}; make the index again from this file"
        )
    rows = []
    for annotation in shown:
        class_ = class_of[annotation["category_id"]]
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
