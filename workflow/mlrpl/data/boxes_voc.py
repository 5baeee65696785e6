"""The boxes of PASCAL VOC's XML annotations."""

import posixpath
from os import PathLike

from mlrpl.archives.formats import open_archive
from mlrpl.archives.names import Names
from mlrpl.data.boxes import Boxes, collected
from mlrpl.data.index import Index
from mlrpl.data.voc_xml import read_annotation
from mlrpl.errors import UserError


def read_boxes(images: str | PathLike, index: Index) -> Boxes:
    """Return the boxes of an index's images; difficult objects are special.

    VOC counts pixels from 1 and both ends belong to the box (section 3.5 of its
    development kit), so that it reaches from xmin - 1 to xmax.

    Args:
        images: the archive or folder that holds `JPEGImages` and `Annotations`.
        index: the split, as `data.voc` read it from there.

    Raises:
        UserError: an annotation that is missing or broken, or without boxes or the
            picture's size.
    """
    column = {name: number for number, name in enumerate(index.classes)}
    rows = []
    with open_archive(images) as archive:
        names = Names.of(archive)
        for number, name in enumerate(index.images):
            year, _, file = name.rpartition("JPEGImages/")
            annotation = f"{year}Annotations/{posixpath.splitext(file)[0]}.xml"
            annotation = names.find(annotation) or annotation
            where = f"{archive.path}: {annotation}"
            found = read_annotation(archive.read(annotation), where)
            try:
                size = [float(text) for text in found.size]
                for item in found.objects:
                    corners = [float(text) for text in item.edges]
                    corners = (
                        *((corners[0] - 1) / size[0], (corners[1] - 1) / size[1]),
                        *(corners[2] / size[0], corners[3] / size[1]),
                    )
                    rows.append((number, column[item.name], corners, item.difficult))
            except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
                raise UserError(
                    f"{where}: has an object or a size that cannot be read "
                    f"({' '.join(str(error).split())}); write size/width, size/height "
                    "and each object's name and bndbox, or set "
                    "experiments.localisation to null"
                ) from error
    return collected(rows, index)
