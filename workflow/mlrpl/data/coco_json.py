"""COCO's JSON, checked for shape, types and ids."""

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlrpl.data.json_files import read_json
from mlrpl.errors import UserError

# Not needed for image labels; the polygons are most of the file and of the memory.
_UNUSED = {"segmentation", "bbox", "area"}
_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,17})")

# Of the entries of each list: the keys that hold ids, and those that hold text.
_ENTRIES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "images": (("id",), ("file_name",)),
    "annotations": (("image_id", "category_id"), ()),
    "categories": (("id",), ("name",)),
}
# An id as it is compared: a number and the text of that number are one.
Id = int | str


@dataclass(frozen=True)
class Instances:
    """An instances file: its lists, all ids as `Id`.

    Attributes:
        content: `images` with `id` and `file_name`, `annotations` with `image_id` and
            `category_id`, `categories` with `id` and `name`.
        order: the ids of the categories, sorted: numbers as numbers, but as text where
            the file has them all as text.
        source: the file's name, for messages.
    """

    content: dict[str, list[dict[str, Any]]]
    order: Sequence[Id]
    source: str


def read_instances(
    path: Path, member: str | None, also: Collection[str] = ()
) -> Instances:
    """Read an instances file.

    Args:
        path: the JSON, plain or packed by gzip, bzip2 or xz; or a zip, tar or folder
            that holds it.
        member: its name in there; needed where that holds several.
        also: keys to keep that image labels need not: segmentation, bbox, area.

    Raises:
        UserError: unreadable files, what is not JSON, or an entry that has something
            else than it should, named by its place.
    """
    content, source = read_json(
        path, member, lambda key: key not in _UNUSED.difference(also)
    )
    fault, as_text = _shape_fault(content), False
    if not fault:
        # Whether their ids are sorted as text, before ids are put into one form.
        entries = (c for c in content["categories"] if isinstance(c, dict))
        as_text = all(isinstance(entry.get("id"), str) for entry in entries)
        fault = _entry_fault(content)
    if fault:
        raise UserError(
            f"{source}: is not a COCO instances file ({fault}); give one with images, "
            "annotations and categories"
        )
    _refuse_shared_ids(content, source)
    ids = [category["id"] for category in content["categories"]]
    key = str if as_text else _by_number
    return Instances(content, sorted(ids, key=key), source)


def _by_number(value: Id) -> tuple[bool, Id]:
    """Sort numbers first, then text."""
    return isinstance(value, str), value


def _shape_fault(content: Any) -> str | None:
    """Return what is wrong with the three lists."""
    if not isinstance(content, dict):
        return f"its top is {_kind(content)}, not an object"
    for key in _ENTRIES:
        if key not in content:
            return f"it has no {key}"
        if not isinstance(content[key], list):
            return f"{key} is {_kind(content[key])}, not a list"
    return None


def _entry_fault(content: Mapping[str, list]) -> str | None:
    """Return what is wrong with an entry of the lists; put ids into one form."""
    for key, (ids, texts) in _ENTRIES.items():
        for number, entry in enumerate(content[key]):
            if fault := _fault(entry, ids, texts):
                return f"{key}[{number}]: {fault}"
    # pycocotools asks for ids of annotations, which serve as names in errors alone.
    for number, entry in enumerate(content["annotations"]):
        if not isinstance(entry.get("id"), int | str):
            entry["id"] = f"annotations[{number}]"
    return None


def _refuse_shared_ids(content: Mapping[str, list], source: str) -> None:
    for key in ("images", "categories"):
        places: dict[Id, int] = {}
        for number, entry in enumerate(content[key]):
            if (first := places.setdefault(entry["id"], number)) != number:
                raise UserError(
                    f"{source}: {key} share an id, {entry['id']} ({key}[{first}] and "
                    f"{key}[{number}]); give each an id of its own"
                )


def _fault(entry: Any, ids: tuple[str, ...], texts: tuple[str, ...]) -> str | None:
    """Return what is wrong with an entry; put its ids into one form."""
    if not isinstance(entry, dict):
        return f"is {_kind(entry)}, not an object"
    for key in (*ids, *texts):
        if key not in entry:
            return f"has no {key}"
    for key in ids:
        value = entry[key]
        if type(value) is not int:
            found = _id(value)
            if found is None:
                return f"{key} is {_kind(value)}, neither a whole number nor a text"
            entry[key] = found
    for key in texts:
        if not isinstance(entry[key], str):
            return f"{key} is {_kind(entry[key])}, not a text"
    return None


def _id(value: Any) -> Id | None:
    if isinstance(value, str) and value.strip():
        number = _INTEGER.fullmatch(value.strip())
        return int(value) if number else value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return None


def _kind(value: Any) -> str:
    """Return what a value is, as a reader of JSON calls it: 'the number 5'."""
    if value is None or isinstance(value, bool):
        return str(json.dumps(value))
    if isinstance(value, int | float):
        return f"the number {json.dumps(value)}"
    if isinstance(value, str):
        return f"the text {json.dumps(value, ensure_ascii=False)[:60]}"
    return "an object" if isinstance(value, Mapping) else "a list"
