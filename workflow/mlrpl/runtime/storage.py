"""Files that are either whole or absent."""

import contextlib
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_path(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` on success.

    A failure or a kill leaves an earlier `path` as it was. The temporary name carries
    the host and the process id, so that two writers do not share one file, and what a
    killed writer of this host left is removed by the next one.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    start = f".{path.name}.{socket.gethostname()}."
    for left in path.parent.iterdir():
        pid = left.name.removeprefix(start).removesuffix(".tmp")
        if left.name == f"{start}{pid}.tmp" and pid.isdigit() and not _runs(int(pid)):
            with contextlib.suppress(OSError):
                left.unlink()
    temporary = path.with_name(f"{start}{os.getpid()}.tmp")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True  # somebody else's, or no number of a process: leave it
    return True
