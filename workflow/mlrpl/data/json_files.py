"""Where a JSON of annotations is: plain, packed, or in an archive; content decides."""

import bz2
import gzip
import json
import lzma
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mlrpl.archives.base import LARGE, require_file
from mlrpl.archives.formats import Archive, FolderArchive, open_archive, some
from mlrpl.archives.names import own_names
from mlrpl.errors import UserError
from mlrpl.runtime import faults
from mlrpl.runtime.memory import host_memory

_PACKED: dict[bytes, Callable[..., Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\x00": lzma.open,
}
_BOM = b"\xef\xbb\xbf"
_UNREADABLE = (OSError, EOFError, zlib.error, lzma.LZMAError)


def read_json(
    path: Path, member: str | None, keep: Callable[[str], bool]
) -> tuple[Any, str]:
    """Return the content of a JSON file, and its name for messages.

    Args:
        path: the JSON, plain or packed by gzip, bzip2 or xz; or a zip, tar or folder
            that holds it.
        member: its name in there; needed where that holds several.
        keep: tells of an object's key whether its value is kept; what is not takes no
            memory.

    Raises:
        UserError: a file that is missing, damaged, or is not JSON.
    """
    text, source = _text(path, member)
    try:
        return json.loads(
            text, object_pairs_hook=lambda pairs: {k: v for k, v in pairs if keep(k)}
        ), source
    except RecursionError as error:
        raise UserError(
            f"{source}: is nested too deeply for a file of annotations; repair it"
        ) from error
    except MemoryError as error:
        raise UserError(
            f"{source}: cannot be read (no memory is left); use a machine with more"
        ) from error
    except ValueError as error:  # broken JSON, or bytes that are not text
        raise UserError(
            f"{source}: is not JSON ({error}); fetch it again or repair it"
        ) from error


def annotation_archive(path: Path) -> Archive | None:
    """Return the archive that a file of annotations is; None for JSON itself.

    Raises:
        UserError: nothing is there, or neither of them.
    """
    if path.is_dir():
        return open_archive(path)
    require_file(path, "download it, or give its path")
    start = _start(path)
    if _is_json(start) or path.suffix.lower() == ".json" or _opener(path, start):
        return None
    return open_archive(path)


def json_members(archive: Archive) -> list[str]:
    """Return the names of the JSON files in an archive."""
    return [n for n in own_names(archive.names()) if n.lower().endswith(".json")]


def _text(path: Path, member: str | None) -> tuple[bytes, str]:
    archive = annotation_archive(path)
    if archive is None:
        opener = _opener(path, _start(path))
        if opener is None:
            return FolderArchive(path.parent).read(path.name), str(path)
        return _unpacked(path, opener), str(path)
    with archive:
        if member is None:
            found = json_members(archive)
            if len(found) != 1:
                raise UserError(
                    f"{path}: holds {len(found)} JSON files ({some(found)}); "
                    "name one of them as the member"
                )
            member = found[0]
        return archive.read(member), f"{path}: {member}"


def _is_json(start: bytes) -> bool:
    return start.removeprefix(_BOM).lstrip().startswith((b"{", b"["))


def _start(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(64)
    except OSError as error:
        raise _unreadable(path, error) from error


def _opener(path: Path, start: bytes) -> Callable[..., Any] | None:
    """Return what unpacks a JSON that is packed by itself; None for all else."""
    opener = next((o for magic, o in _PACKED.items() if start.startswith(magic)), None)
    if opener is None:
        return None
    try:
        with opener(path) as packed:
            return opener if _is_json(packed.read(64)) else None
    except _UNREADABLE as error:
        raise _unreadable(path, error) from error


def _unpacked(path: Path, opener: Callable[..., Any]) -> bytes:
    """Return what a packed file holds, as long as there is memory for it."""
    found, left = bytearray(), host_memory()[1]
    try:
        with opener(path) as packed:
            while piece := packed.read(LARGE):
                found += piece
                if left is not None and len(found) > left:
                    raise UserError(
                        f"{path}: has more than {left:,} bytes, which are all the "
                        "memory that is left; use a machine with more"
                    )
    except _UNREADABLE as error:
        raise _unreadable(path, error) from error
    return bytes(found)


def _unreadable(path: Path, error: BaseException) -> UserError:
    if remedy := faults.reading_remedy(error):
        return UserError(f"{path}: cannot be read ({faults.reason(error)}); {remedy}")
    return UserError(
        f"{path}: is truncated or damaged ({faults.reason(error)}); fetch it again"
    )
