"""Files that are either whole or absent."""

import contextlib
import errno
import os
import re
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from mlrpl.errors import UserError
from mlrpl.runtime import faults

# Seconds after which a writer on another host that has written nothing is taken for
# dead; a living one writes a batch in far less.
ABANDONED = 60
# Bytes from which on a label matrix is not read as a whole but mapped into memory: the
# system reads the rows that are used, and may forget them again.
MAPPED = 2**26


@contextmanager
def atomic_path(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` on success.

    A failure, a kill or a power cut leaves an earlier `path` as it was: the content is
    on the disk before it gets the name. The temporary name carries the host and the
    process id, so that two writers do not share one file. What a killed writer of this
    host left is removed by the next one; what one of another host left, when the same
    file has been made here and nothing was written to it meanwhile.

    Raises:
        UserError: the disk is full, the folder cannot be written to, and the like.
    """
    path = Path(path)
    start = f".{path.name}.{socket.gethostname()}."
    temporary = path.with_name(f"{start}{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        _remove_left(path.parent, start)
        elsewhere = _left_elsewhere(path, start)
    except OSError as error:
        raise unwritable(path, error) from error
    try:
        yield temporary
        synchronise(temporary)
        os.replace(temporary, path)
        synchronise_folder(path.parent)
        _remove_unchanged(elsewhere, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        if _of_writing(error, temporary):
            raise unwritable(path, error) from error
        raise


def unwritable(path: str | os.PathLike, error: BaseException) -> UserError:
    """Return the one line of a file that cannot be written."""
    return UserError(
        f"{os.fspath(path)}: cannot be written ({faults.reason(error)}); "
        f"{faults.writing_remedy(error)}"
    )


def synchronise(path: str | os.PathLike) -> None:
    """Have the content of a file on the disk, not in the system's memory alone.

    Raises:
        OSError: it cannot be; a full disk may show here first.
    """
    with open(path, "rb") as file:
        try:
            os.fsync(file.fileno())
        except OSError as error:  # a file system that has no such thing
            if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS):
                raise


def synchronise_folder(folder: Path) -> None:
    """Have the names in a folder on the disk, where the file system can."""
    with contextlib.suppress(OSError):
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


def _of_writing(error: BaseException, temporary: Path) -> bool:
    """Return whether an error is one of writing, and not of what is read meanwhile."""
    if isinstance(error, UserError) or not isinstance(error, OSError | RuntimeError):
        return False
    return faults.errno_of(error) in faults.FULL or temporary.name in str(error)


def _remove_left(folder: Path, start: str) -> None:
    left_there: list[Path] = []
    with contextlib.suppress(OSError):  # one may write to it, and not list it
        left_there += folder.iterdir()
    for left in left_there:
        pid = left.name.removeprefix(start).removesuffix(".tmp")
        if left.name == f"{start}{pid}.tmp" and pid.isdigit() and not _runs(int(pid)):
            with contextlib.suppress(OSError):
                left.unlink()


def _left_elsewhere(path: Path, start: str) -> dict[Path, tuple[int, int]]:
    """Return other hosts' temporary files of the same file: when written, and size."""
    found = {}
    pattern = re.compile(rf"\.{re.escape(path.name)}\.[\w.-]+\.\d+\.tmp")
    for left in path.parent.iterdir():
        if pattern.fullmatch(left.name) and not left.name.startswith(start):
            with contextlib.suppress(OSError):
                found[left] = _written(left)
    return found


def _remove_unchanged(before: Mapping[Path, tuple[int, int]], made: Path) -> None:
    """Remove temporary files that nobody has written to while `made` was made.

    Their age is counted up to `made`, by the clock of the disk that both lie on.
    """
    for left, state in before.items():
        with contextlib.suppress(OSError):
            age = made.stat().st_mtime_ns - state[0]
            if _written(left) == state and age > ABANDONED * 1e9:
                left.unlink()


def _written(path: Path) -> tuple[int, int]:
    found = path.lstat()
    return found.st_mtime_ns, found.st_size


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True  # somebody else's, or no number of a process: leave it
    return True
