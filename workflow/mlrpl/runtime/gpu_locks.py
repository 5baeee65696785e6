"""Which process has which GPU of a machine, without a batch system that deals them out.

A process holds the lock file of its card, from its choice to its end, however that
comes: the system lifts a dead process's locks. Each user has a folder of lock files
that others can read and nobody else can write, so that users see each other's.
"""

import contextlib
import fcntl
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

# The same for all processes of a machine: TMPDIR differs from job to job.
SHARED = Path("/tmp")
PREFIX = "mlrpl-gpus-"
# No more processes than this share a card.
MOST = 64

# The lock of this process's GPU, which its end lifts.
_held: list[IO[bytes]] = []


def claim(cards: Sequence[str], shared: Path = SHARED) -> int:
    """Return the number of a card that the fewest processes hold; hold it to the end.

    Args:
        cards: their names, by which all processes know them; those that this process
            sees, in its order. One alone is held too: others may see more.
        shared: where the users' folders of lock files are.
    """
    own = _own_folder(shared)
    if own is None:
        return os.getpid() % len(cards)  # no place for locks: spread at random
    for turn in range(MOST):  # a second process a card when each has a first
        for number, card in enumerate(cards):
            name = f"{card.replace(os.sep, '-')}.{turn}.lock"
            try:
                lock = _locked(own / name)
            except OSError:
                return os.getpid() % len(cards)  # no locks here
            if lock is None:
                continue
            if _held_by_others(shared, own, name):
                lock.close()
                continue
            _held.append(lock)
            return number
    return os.getpid() % len(cards)


def _locked(path: Path) -> IO[bytes] | None:
    """Return the open file with a lock on it; None if another process holds it.

    Raises:
        OSError: it cannot be opened, or the file system has no locks.
    """
    # Never through a link, which might lead to any file of this user.
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    lock = os.fdopen(os.open(path, flags, 0o644), "r+b")
    try:
        os.fchmod(lock.fileno(), 0o644)  # whatever the umask says
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return None
    except OSError:
        lock.close()
        raise
    return lock


def _held_by_others(shared: Path, own: Path, name: str) -> bool:
    """Return whether a process of another user holds its lock file of this name."""
    return any(_is_held(folder / name) for folder in _folders(shared) if folder != own)


def _folders(shared: Path) -> Iterator[Path]:
    with contextlib.suppress(OSError):
        yield from shared.glob(f"{PREFIX}*")


def _is_held(path: Path) -> bool:
    """Return whether a process holds a lock file that this one can only read."""
    try:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        number = os.open(path, flags)
    except OSError:  # there is none, or it is not for us to see
        return False
    try:
        fcntl.flock(number, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(number)
    return False


def _own_folder(shared: Path) -> Path | None:
    """Return this user's folder, which nobody else can write to; None if there is none.

    Where it should be, anyone may have made something of this name.
    """
    folder = shared / f"{PREFIX}{os.getuid()}"
    try:
        with contextlib.suppress(FileExistsError):
            folder.mkdir()
            folder.chmod(0o755)  # whatever the umask says
        found = folder.lstat()
    except OSError:
        return None
    others = stat.S_IMODE(found.st_mode) & 0o022
    ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not others
    return folder if ours else None
