"""HDF5 files: written whole, and read with one line for all that can be wrong.

A file gets its name only when it is whole, and is never changed afterwards, so nobody
needs HDF5's locks: they are not asked for, as some network file systems have none. The
environment variable HDF5_USE_FILE_LOCKING goes over that.
"""

import hashlib
import math
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mlrpl.errors import UserError
from mlrpl.runtime import faults
from mlrpl.runtime.storage import MAPPED, atomic_path

PAGE = 4096  # bytes that are added up for a checksum
# The checksums of an array's rows are beside it, under its name with this at its end.
CHECKSUMS = "_checksums"

# What h5py raises where a file's content is not what was looked for.
_CONTENT = (
    *(OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError),
    *(OverflowError, IndexError),
)


@contextmanager
def writing(path: str | os.PathLike) -> Iterator[h5py.File]:
    """Yield a new file that is at `path` when all went well (`storage.atomic_path`)."""
    with (
        atomic_path(path) as temporary,
        h5py.File(temporary, "w", locking=False) as new,
    ):
        yield new


@contextmanager
def reading(
    path: str | os.PathLike, missing: str, damaged: str, remedy: str
) -> Iterator[h5py.File]:
    """Yield a file; whatever h5py raises becomes one line that names it.

    Only a file whose content is at fault is called `damaged`: one that is locked, or
    that one may not read, is said to be that.

    Args:
        path: the file.
        missing: what to do where there is none.
        damaged: what a damaged one is called: "is not an index".
        remedy: how to make it.

    Raises:
        UserError: there is no such file, it cannot be read, or it is damaged.
    """
    path = Path(path)
    try:
        if not path.exists():
            raise UserError(f"{path}: is not there; {missing}")
        if path.is_dir():
            raise UserError(f"{path}: is a folder; give the HDF5 file")
        with h5py.File(path, "r", locking=False) as file:
            yield file
    except _CONTENT as error:
        raise unreadable(path, error, damaged, remedy) from error


def unreadable(
    path: str | os.PathLike, error: Exception, damaged: str, remedy: str
) -> UserError:
    """Return the one line of a file that h5py cannot read; arguments as `reading`."""
    why = faults.reason(error)
    if isinstance(error, KeyError) and error.args:
        why = str(error.args[0])
    if other := faults.reading_remedy(error):
        verb = "locked" if "lock" in str(error) else "read"
        return UserError(f"{path}: cannot be {verb} ({why}); {other}")
    # Another file that was given by mistake is not to be deleted.
    cut = isinstance(error, OSError | RuntimeError) and h5py.is_hdf5(path)
    return UserError(f"{path}: {damaged} ({why}); {'delete it and ' * cut}{remedy}")


def text_of(file: h5py.File, name: str) -> str:
    """Return an attribute that is text.

    Raises:
        KeyError: there is none.
        TypeError: it is something else.
    """
    value = file.attrs[name]
    if isinstance(value, bytes):
        value = value.decode()
    if not isinstance(value, str):
        raise TypeError(f"its attribute {name} is no text")
    return value


def number_of(file: h5py.File, name: str, kind: type = int) -> Any:
    """Return an attribute that is one finite number.

    Args:
        file: the open file.
        name: of the attribute.
        kind: `int`, for a whole number of at least 0, or `float`.

    Raises:
        KeyError: there is none.
        TypeError: it is something else.
    """
    value = np.asarray(file.attrs[name])
    if value.shape != () or value.dtype.kind not in "iuf" or not np.isfinite(value):
        raise TypeError(f"its attribute {name} is no number")
    if kind is int and (value != int(value) or value < 0):
        raise TypeError(f"its attribute {name} is no whole number of at least 0")
    return kind(value)


def array_of(file: h5py.File, name: str) -> h5py.Dataset:
    """Return a dataset, unread.

    Raises:
        KeyError: there is none.
        TypeError: it is a group or a link.
    """
    found = file[name]
    if not isinstance(found, h5py.Dataset):
        raise TypeError(f"its {name} is no array")
    return found


def matrix_of(file: h5py.File, name: str) -> np.ndarray:
    """Return a dataset's values; a large one's stay in the file (`storage.MAPPED`).

    They are read where they are used, and what is written to them stays in memory.

    Raises:
        KeyError: there is none.
        TypeError: it is a group or a link.
        ValueError: the file ends before they do.
    """
    found = array_of(file, name)
    start = found.id.get_offset()  # None where they are in chunks, or nothing is stored
    if start is None or found.nbytes < MAPPED:
        return found[:]
    return np.memmap(file.filename, found.dtype, "c", start, found.shape)


def sha256_of(*arrays: np.ndarray) -> str:
    """Return a hash of arrays' types, shapes and values."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype.str} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).view(np.uint8).data)
    return digest.hexdigest()


def checksums(rows: np.ndarray) -> np.ndarray:
    """Return a number for each row [n, ...] that another content changes, uint32 [n].

    The CRC-32 of the sums of a row's pages of up to 4096 bytes, each taken as 64-bit
    numbers: ten times as fast as the CRC-32 of the row. A page that is other, at
    another place or of another row is found.
    """
    if not rows.size:
        return np.zeros(len(rows), np.uint32)
    parts = np.ascontiguousarray(rows).reshape(len(rows), -1).view(np.uint8)
    page = math.gcd(parts.shape[1], PAGE)
    if page % 8 == 0:
        words = parts.view("<u8").reshape(len(rows), -1, page // 8)
        parts = words.sum(axis=2, dtype="<u8")
    return np.array([zlib.crc32(part.data) for part in parts], np.uint32)
