"""One annotation in VOC's XML, in whatever encoding and dialect, to its objects."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from xml.etree import ElementTree

from mlrpl.errors import UserError

_DECLARED = re.compile(rb"""^\s*<\?xml[^>]*?\sencoding\s*=\s*["']([^"']*)["']""")
# Encodings with the larger ones that programs of this name write.
_LARGER = {"gb2312": "gb18030", "gbk": "gb18030", "shift_jis": "cp932"}
_EDGES = ("xmin", "ymin", "xmax", "ymax")
# What only an object has; outside of any it is one by another name.
_BOXES = ("bndbox", "bbox", "polygon")


@dataclass(frozen=True)
class VocObject:
    """One object.

    Attributes:
        name: its class, as it is written.
        difficult: whether it is marked so.
        edges: xmin, ymin, xmax and ymax of its bndbox, as they are written; None for
            what is not there.
    """

    name: str
    difficult: bool
    edges: tuple[str | None, ...] = field(default=(), compare=False)


@dataclass(frozen=True)
class VocAnnotation:
    """The annotation of one image.

    Attributes:
        objects: in the order of the file; none if the image has none.
        size: width and height of the image, as they are written; None for what is not
            there.
    """

    objects: Sequence[VocObject]
    size: tuple[str | None, ...]


def read_annotation(data: bytes, where: str) -> VocAnnotation:
    """Return what an annotation says of one image.

    Tags count in any letter case and name space, and objects below other elements, such
    as a list of them; the parts of an object are not objects.

    Args:
        data: the file's content.
        where: its name, for errors.

    Raises:
        UserError: what is no XML, is in an encoding that is not known, holds no or
            several annotations or boxes outside of objects, or an object whose
            `difficult` is not 0 or 1.
    """
    root = _annotation(_parsed(data, where), where)
    found = []
    for item in _outermost(root, "object"):
        flag = (_text(item, "difficult") or "0").strip()
        if flag not in ("0", "1"):
            raise UserError(f"{where}: difficult is {flag!r}; write 0 or 1")
        name = (_text(item, "name") or "").strip()
        found.append(VocObject(name, flag == "1", _texts(item, "bndbox", _EDGES)))
    if not found:
        for tag in _BOXES:
            if next(_outermost(root, tag), None) is not None:
                raise UserError(
                    f"{where}: has a {tag} and no object; put it into an <object> "
                    "that has a <name>"
                )
    return VocAnnotation(found, _texts(root, "size", ("width", "height")))


def _parsed(data: bytes, where: str) -> ElementTree.Element:
    """Parse XML; what the parser cannot decode by itself is decoded before."""
    try:
        return ElementTree.fromstring(data)
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        reason = error
    declared = _DECLARED.match(data[:400])
    encoding = declared[1].decode("latin-1") if declared else "utf-8"
    decoded = False
    # Plain UTF-8 under a wrong declaration is common: "ANSI", "utf-16" before ASCII.
    for name in dict.fromkeys((_LARGER.get(encoding.lower(), encoding), "utf-8")):
        try:
            text = data.decode(name)
            decoded = True
            return ElementTree.fromstring(text)
        except (UnicodeError, LookupError):
            continue  # not in this encoding, or there is none of this name
        except (ElementTree.ParseError, ValueError) as error:
            reason = error
    if decoded or not data.lstrip().startswith(b"<"):
        raise _no_xml(where, reason) from reason
    says = f"declares the encoding {encoding}" if declared else "declares no encoding"
    raise UserError(
        f"{where}: {says}, and is not text in it or in UTF-8; save it in UTF-8"
    ) from reason


def _no_xml(where: str, reason: Exception) -> UserError:
    return UserError(
        f"{where}: is not XML ({reason}); fetch the archive again or repair it"
    )


def _annotation(root: ElementTree.Element, where: str) -> ElementTree.Element:
    """Return the element of one annotation: the top, whatever it is called."""
    found = list(_outermost(root, "annotation"))
    if _tag(root) == "annotation" or any(_tag(item) == "object" for item in root):
        found = [root]
    if len(found) != 1:
        many = f"{len(found)} annotations" if found else "no annotation"
        raise UserError(
            f"{where}: is no annotation of VOC (its top is <{_tag(root)}> and has "
            f"{many} in it); write one <annotation> a file"
        )
    return found[0]


def _outermost(element: ElementTree.Element, tag: str) -> Iterator[ElementTree.Element]:
    """Yield the elements of a tag below another one, but for those inside of them."""
    waiting = list(element)[::-1]
    while waiting:
        item = waiting.pop()
        if _tag(item) == tag:
            yield item
        else:
            waiting += list(item)[::-1]


def _texts(
    item: ElementTree.Element, tag: str, parts: Sequence[str]
) -> tuple[str | None, ...]:
    """Return the texts of an element's parts."""
    found = next((child for child in item if _tag(child) == tag), None)
    return tuple(None if found is None else _text(found, part) for part in parts)


def _text(item: ElementTree.Element, tag: str) -> str | None:
    return next((child.text for child in item if _tag(child) == tag), None)


def _tag(item: ElementTree.Element) -> str:
    """Return a tag without its name space, in lower case."""
    return item.tag.rpartition("}")[2].lower() if isinstance(item.tag, str) else ""
