"""Images and annotations read in place: one interface over zip, tar and folder.

`open_archive(path)` looks at the content, not at the file's name. An archive reads
lazily and can be used in several processes: a zip is opened anew in each, a tar is
read with positioned reads that share no file offset, and a pickled archive carries
its path alone. Nothing is unpacked; a compressed tar alone, which has no random
access, goes through an unnamed temporary file in each process that opens it.
"""

import lzma
import os
import tarfile
import zipfile
import zlib
from pathlib import Path
from typing import Any

from mlrpl.archives.base import Archive, plain_name, refuse_escape, some
from mlrpl.archives.tar import COMPRESSED, TarArchive
from mlrpl.errors import UserError

__all__ = [
    "Archive",
    "FolderArchive",
    "TarArchive",
    "ZipArchive",
    "open_archive",
    "some",
]


class FolderArchive(Archive):
    """A plain folder; links to files and folders are followed."""

    kind = "folder"

    def names(self) -> tuple[str, ...]:
        """Return the sorted names of all files below the folder."""
        found = []
        seen = set()
        for folder, subfolders, files in os.walk(self.path, followlinks=True):
            real = os.path.realpath(folder)
            if real in seen:  # a link that leads back up
                subfolders.clear()
                continue
            seen.add(real)
            prefix = Path(folder).relative_to(self.path)
            found += [(prefix / name).as_posix() for name in files]
        return tuple(sorted(found))

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and (self.path / name).is_file()

    def _read(self, name: str) -> bytes:
        try:
            return (self.path / name).read_bytes()
        except OSError as error:
            raise UserError(
                f"{self.path / name}: cannot be read ({error.strerror}); "
                "check the file and its permissions"
            ) from error


class ZipArchive(Archive):
    """A zip file, its members stored or deflated."""

    kind = "zip"

    def __init__(self, path: str | os.PathLike):
        super().__init__(path)
        self._pid = -1
        self._zip: zipfile.ZipFile | None = None
        self._members: dict[str, zipfile.ZipInfo] = {}

    def _open(self) -> zipfile.ZipFile:
        # A forked process shares the parent's file offset, so it needs its own file.
        if self._zip is None or self._pid != os.getpid():
            try:
                opened = zipfile.ZipFile(self.path)
            except (zipfile.BadZipFile, EOFError, OSError) as error:
                raise self._damaged(error) from error
            try:
                self._members = {
                    plain_name(info.filename, self.path): info
                    for info in opened.infolist()
                    if not info.is_dir()
                }
            except UserError:
                opened.close()
                raise
            self._zip, self._pid = opened, os.getpid()
        return self._zip

    def names(self) -> tuple[str, ...]:
        """Return the names of all files, in the order of the zip's directory."""
        self._open()
        return tuple(self._members)

    def __contains__(self, name: object) -> bool:
        self._open()
        return name in self._members

    def _read(self, name: str) -> bytes:
        opened = self._open()
        try:
            return opened.read(self._members[name])
        except (
            zipfile.BadZipFile,
            zlib.error,
            lzma.LZMAError,
            EOFError,
            OSError,
            RuntimeError,  # encrypted; its NotImplementedError is an unknown method
        ) as error:
            raise self._damaged(f"{name}: {error}") from error

    def open(self, name: str) -> Any:
        """Return a stream of one member, for members too large to hold at once.

        Raises:
            UserError: as `read`; damage that shows while streaming is the caller's.
        """
        refuse_escape(name, self.path)
        opened = self._open()
        if name not in self._members:
            raise UserError(
                f"{self.path}: holds no {name}; it holds {some(self.names())}"
            )
        try:
            return opened.open(self._members[name])
        except (zipfile.BadZipFile, OSError, RuntimeError) as error:
            raise self._damaged(f"{name}: {error}") from error

    def close(self) -> None:
        """Close the zip file."""
        if self._zip is not None and self._pid == os.getpid():
            self._zip.close()
        self._zip = None


def open_archive(path: str | os.PathLike) -> Archive:
    """Return the archive at `path`; close it, or use it in a `with` statement.

    Raises:
        UserError: nothing is there, or it is not a zip, tar or folder.
    """
    path = Path(path)
    if path.is_dir():
        return FolderArchive(path)
    try:
        with path.open("rb") as file:
            start = file.read(tarfile.BLOCKSIZE)
    except FileNotFoundError as error:
        raise UserError(
            f"{path}: is not there; download it, or give its path"
        ) from error
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read ({error.strerror}); check its permissions"
        ) from error
    if start.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return ZipArchive(path)
    if start.startswith(tuple(COMPRESSED)) or tarfile.is_tarfile(path):
        return TarArchive(path)
    raise UserError(
        f"{path}: is not a zip, tar or folder; if it was downloaded, delete it and "
        "fetch it again"
    )
