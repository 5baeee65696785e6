"""Let one process at a time write a file."""

import contextlib
import fcntl
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO


@contextlib.contextmanager
def locked(path: Path, waiting: str) -> Iterator[None]:
    """Hold a file alone; create it if it is not there.

    The lock ends with the process, however that ends. While it is held, the file may be
    written, renamed or removed; it must not be replaced by another one. On leaving, a
    file that is still empty is removed.

    Args:
        path: the file.
        waiting: line for stderr when another process holds the file.

    Raises:
        OSError: the file cannot be opened.
    """
    with _lock(path, waiting) as file:
        try:
            yield
        finally:
            if _named(file, path) and os.fstat(file.fileno()).st_size == 0:
                path.unlink()


def _lock(path: Path, waiting: str) -> BinaryIO:
    while True:
        file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+b")
        try:
            _wait(file, path, waiting)
        except BaseException:
            file.close()
            raise
        # whoever held the lock may have renamed or removed the file meanwhile
        if _named(file, path):
            return file
        file.close()


def _wait(file: BinaryIO, path: Path, waiting: str) -> None:
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(waiting, file=sys.stderr)
            fcntl.flock(file, fcntl.LOCK_EX)
    except OSError:
        # some network file systems have no locks; one run at a time needs none
        print(
            f"{path}: cannot be locked; do not start a second run on it",
            file=sys.stderr,
        )


def _named(file: BinaryIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
