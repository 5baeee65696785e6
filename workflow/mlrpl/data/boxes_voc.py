"""The boxes of PASCAL VOC's XML annotations."""

import posixpath
from os import PathLike
from xml.etree import ElementTree

from mlrpl.archives.formats import open_archive
from mlrpl.data.boxes import Boxes, collected
from mlrpl.data.index import Index
from mlrpl.errors import UserError

_SIDES = ("width", "height")
_EDGES = ("xmin", "ymin", "xmax", "ymax")


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
        for number, name in enumerate(index.images):
            folder, file = posixpath.split(name)
            year = folder.removesuffix("JPEGImages")
            annotation = f"{year}Annotations/{posixpath.splitext(file)[0]}.xml"
            where = f"{archive.path}: {annotation}"
            try:
                root = ElementTree.fromstring(archive.read(annotation))
                size = [float(root.findtext(f"size/{key}")) for key in _SIDES]
                for item in root.findall("object"):
                    class_ = column[(item.findtext("name") or "").strip()]
                    corners = [float(item.findtext(f"bndbox/{key}")) for key in _EDGES]
                    corners = (
                        *((corners[0] - 1) / size[0], (corners[1] - 1) / size[1]),
                        *(corners[2] / size[0], corners[3] / size[1]),
                    )
                    hard = (item.findtext("difficult") or "0").strip() == "1"
                    rows.append((number, class_, corners, hard))
            except ElementTree.ParseError as error:
                raise UserError(
                    f"{where}: is not XML ({error}); fetch the archive again or "
                    "repair it"
                ) from error
            except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
                raise UserError(
                    f"{where}: has an object or a size that cannot be read "
                    f"({' '.join(str(error).split())}); write size/width, size/height "
                    "and each object's name and bndbox, or set "
                    "experiments.localisation to null"
                ) from error
    return collected(rows, index)
