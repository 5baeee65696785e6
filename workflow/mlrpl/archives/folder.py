"""A plain folder as an archive."""

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from mlrpl.archives.base import Archive
from mlrpl.errors import UserError


class FolderArchive(Archive):
    """A plain folder; links to files and folders are followed."""

    kind = "folder"

    def __init__(self, path: str | os.PathLike):
        super().__init__(path)
        self._left_out: dict[str, str] = {}

    def names(self) -> tuple[str, ...]:
        """Return the sorted names of all files below the folder."""
        found = []
        seen = set()
        for folder, subfolders, files in os.walk(
            self.path, followlinks=True, onerror=self._skip
        ):
            real = os.path.realpath(folder)
            if real in seen:  # a link that leads back up
                subfolders.clear()
                continue
            seen.add(real)
            prefix = Path(folder).relative_to(self.path)
            found += [(prefix / name).as_posix() for name in files]
        return tuple(sorted(found))

    def __contains__(self, name: object) -> bool:
        try:
            return isinstance(name, str) and (self.path / name).is_file()
        except (OSError, ValueError):  # too long for a name, or with a NUL in it
            return False

    def size(self, name: str) -> int:
        """Return the bytes of a file."""
        try:
            return (self.path / name).stat().st_size
        except OSError as error:
            raise self._unreadable(name, error) from error

    def left_out(self) -> Mapping[str, str]:
        """Return the folders that could not be listed when the names were."""
        return self._left_out

    def tail(self, name: str, count: int) -> bytes:
        """Return the last bytes of a file, or all of a shorter one."""
        try:
            with (self.path / name).open("rb") as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - count))
                return file.read(count)
        except OSError as error:
            raise self._unreadable(name, error) from error

    def _read(self, name: str) -> bytes:
        try:
            # Not a named pipe or a device, which may have no end.
            with open(
                os.open(self.path / name, os.O_RDONLY | os.O_NONBLOCK), "rb"
            ) as f:
                if not stat.S_ISREG(os.fstat(f.fileno()).st_mode):
                    raise OSError(None, "it is no plain file")
                return f.read()
        except OSError as error:
            raise self._unreadable(name, error) from error

    def _skip(self, error: OSError) -> None:
        name = os.path.relpath(error.filename, self.path)
        self._left_out[name] = f"cannot be listed ({error.strerror})"

    def _unreadable(self, name: str, error: OSError) -> UserError:
        return UserError(
            f"{self.path / name}: cannot be read ({error.strerror}); "
            "check the file and its permissions"
        )
