"""COCO's JSON: found, unpacked, parsed, and checked for shape, types and ids."""

import bz2
import gzip
import json
import lzma
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlrpl.archives.base import require_file
from mlrpl.archives.formats import FolderArchive, open_archive, some
from mlrpl.archives.names import own_names
from mlrpl.errors import UserError

# Not needed for image labels; the polygons are most of the file and of the memory.
_UNUSED = {"segmentation", "bbox", "area"}
_PACKED = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\x00": lzma.open}
_BOM = b"\xef\xbb\xbf"
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


def read_instances(path: Path, member: str | None) -> Instances:
    """Read an instances file.

    Args:
        path: the JSON, plain or packed by gzip, bzip2 or xz; or a zip, tar or folder
            that holds it.
        member: its name in there; needed where that holds several.

    Raises:
        UserError: unreadable files, what is not JSON, or an entry that has something
            else than it should, named by its place.
    """
    text, source = _text(path, member)
    try:
        content = json.loads(text, object_pairs_hook=_without_unused)
    except RecursionError as error:
        raise UserError(
            f"{source}: is nested too deeply for an instances file; give one with "
            "images, annotations and categories"
        ) from error
    except MemoryError as error:
        raise UserError(
            f"{source}: cannot be read (no memory is left); use a machine with more"
        ) from error
    except ValueError as error:  # broken JSON, or bytes that are not text
        raise UserError(
            f"{source}: is not JSON ({error}); fetch it again or repair it"
        ) from error
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


def _text(path: Path, member: str | None) -> tuple[bytes, str]:
    """Return the JSON's bytes; what a file is, its content says."""
    if not path.is_dir():
        require_file(path, "download it, or give its path")
        with FolderArchive(path.parent) as folder:
            start = _start(path)
            plain = start.removeprefix(_BOM).lstrip()
            if plain.startswith((b"{", b"[")) or path.suffix.lower() == ".json":
                return folder.read(path.name), str(path)
        if opener := next((o for m, o in _PACKED.items() if start.startswith(m)), None):
            try:
                with opener(path) as packed:
                    first = packed.read(64).removeprefix(_BOM).lstrip()
                    if first.startswith((b"{", b"[")):
                        packed.seek(0)
                        return packed.read(), str(path)
            except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
                reason = " ".join(str(error).split())
                raise UserError(
                    f"{path}: is truncated or damaged ({reason}); fetch it again"
                ) from error
    with open_archive(path) as archive:
        if member is None:
            names = own_names(archive.names())
            found = [name for name in names if name.lower().endswith(".json")]
            if len(found) != 1:
                raise UserError(
                    f"{path}: holds {len(found)} JSON files ({some(found)}); "
                    "name one of them as the member"
                )
            member = found[0]
        return archive.read(member), f"{path}: {member}"


def _start(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(64)
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read ({error.strerror}); check its permissions"
        ) from error


def _without_unused(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    return {key: value for key, value in pairs if key not in _UNUSED}


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
