"""What zip, tar and folder share: reading one named file, and its errors."""

import errno
import os
import stat
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from mlrpl.errors import UserError
from mlrpl.runtime import faults
from mlrpl.runtime.memory import host_memory

# A file of this size or more is first compared with the memory that is left.
LARGE = 64 * 2**20


class Archive(ABC):
    """Named files of one zip, tar or folder; names are relative, with slashes.

    Every method raises `UserError` when the archive is damaged.
    """

    kind = "archive"

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path)

    @abstractmethod
    def names(self) -> tuple[str, ...]:
        """Return the names of all files, in the archive's order (a folder: sorted)."""

    @abstractmethod
    def __contains__(self, name: object) -> bool: ...

    @abstractmethod
    def size(self, name: str) -> int:
        """Return the bytes of a file that is there, unpacked, as the archive has it."""

    @abstractmethod
    def _read(self, name: str) -> bytes: ...

    def read(self, name: str, most: int | None = None) -> bytes:
        """Return the content of one file.

        Args:
            name: one of `names`.
            most: the bytes that such a file may have; by default all memory that is
                left.

        Raises:
            UserError: `name` is not in the archive, is damaged, cannot be unpacked, is
                too large, or leads outside the archive.
        """
        refuse_escape(name, self.path)
        if name not in self:
            raise UserError(
                f"{self.path}: holds no {name}; check the name, or whether this is "
                f"the right {self.kind}"
            )
        self.check([name])
        self._refuse_large(name, self.size(name), most)
        return self._read(name)

    def check(self, names: Iterable[str]) -> None:  # noqa: B027 - most need no check
        """Check that files can be unpacked, without reading them.

        Raises:
            UserError: for the first that cannot.
        """

    def tail(self, name: str, count: int) -> bytes:
        """Return the last bytes of a file, or all of a shorter one."""
        return self.read(name)[-count:]

    def left_out(self) -> Mapping[str, str]:
        """Return what is there and not among the names, with the reason."""
        return {}

    def close(self) -> None:  # noqa: B027 - a folder has nothing to close
        """Release the file; a later read opens it again."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __reduce__(self) -> tuple[type[Self], tuple[Path]]:
        return type(self), (self.path,)

    def _refuse_large(self, name: str, size: int, most: int | None) -> None:
        if size < LARGE:
            return
        if most is not None and size > most:
            raise UserError(
                f"{self.path}: {name} has {size:,} bytes, and at most {most:,} are "
                "read of such a file; take it out of the labels, or make it smaller"
            )
        available = host_memory()[1]
        if available is not None and size > available:
            raise UserError(
                f"{self.path}: {name} has {size:,} bytes, and {available:,} of memory "
                "are left; use a machine with more, or end other programs"
            )

    def _failed(self, error: BaseException, name: str | None = None) -> UserError:
        """Return what a library's error about the archive, or one file in it, means.

        An error of the system says nothing against the file.
        """
        place = f"{self.path}: {name}" if name else str(self.path)
        number = faults.errno_of(error)
        if number not in (None, errno.EINVAL):
            remedy = faults.reading_remedy(error) or "look at the disk it is on"
            return UserError(
                f"{place}: cannot be read ({faults.reason(error)}); {remedy}"
            )
        if isinstance(error, MemoryError):
            return UserError(
                f"{place}: cannot be read (no memory is left); use a machine with "
                "more, or end other programs"
            )
        reason = f"{name}: {error}" if name else str(error) or type(error).__name__
        return self._damaged(reason)

    def _damaged(self, reason: object) -> UserError:
        return UserError(
            f"{self.path}: is a truncated or damaged {self.kind} "
            f"({_one_line(reason)}); delete it and fetch it again"
        )


class ListedArchive(Archive):
    """An archive whose list of files is read when it is opened."""

    # By name, in the archive's order; what it holds of each is the format's own.
    _members: Mapping[str, Any]

    @abstractmethod
    def _open(self) -> Any:
        """Open the archive and list its files, if this process has not yet."""

    def names(self) -> tuple[str, ...]:
        """Return the names of all files, in the archive's order."""
        self._open()
        return tuple(self._members)

    def __contains__(self, name: object) -> bool:
        self._open()
        return name in self._members


def require_file(path: Path, remedy: str) -> None:
    """Check that a plain file is there: what is none may be waited for without end.

    Raises:
        UserError: nothing is there, or a folder, a named pipe or a device.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError as error:
        raise UserError(f"{path}: is not there; {remedy}") from error
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read ({error.strerror}); check its permissions"
        ) from error
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "a named pipe or a device"
        raise UserError(f"{path}: is {kind} and no file; {remedy}")


def some(names: tuple[str, ...] | list[str], limit: int = 5) -> str:
    """List the first names for a message: 'a, b and 7 more'."""
    if len(names) <= limit:
        return ", ".join(names) or "nothing"
    return f"{', '.join(names[:limit])} and {len(names) - limit} more"


def refuse_escape(name: str, path: Path) -> None:
    """Raise `UserError` for a name that is absolute or goes up out of the archive."""
    if name.startswith("/") or ".." in name.split("/"):
        raise UserError(
            f"{path}: {name} leads outside the archive; use names relative to its top"
        )


def plain_name(name: str, path: Path) -> str:
    """Return a member's plain name: `./a` and `a` are one file."""
    refuse_escape(name, path)
    while name.startswith("./"):
        name = name[2:].lstrip("/")
    return name


def _one_line(reason: object) -> str:
    return " ".join(str(reason).split()) or type(reason).__name__
