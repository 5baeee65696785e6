"""What zip, tar and folder share: reading one named file, and its errors."""

import os
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Self

from mlrpl.errors import UserError


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
    def _read(self, name: str) -> bytes: ...

    def read(self, name: str) -> bytes:
        """Return the content of one file.

        Raises:
            UserError: `name` is not in the archive, is damaged, or leads outside it.
        """
        refuse_escape(name, self.path)
        if name not in self:
            raise UserError(
                f"{self.path}: holds no {name}; check the name, or whether this is "
                f"the right {self.kind}"
            )
        return self._read(name)

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

    def _damaged(self, reason: object) -> UserError:
        return UserError(
            f"{self.path}: is a truncated or damaged {self.kind} "
            f"({_one_line(reason)}); delete it and fetch it again"
        )


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
