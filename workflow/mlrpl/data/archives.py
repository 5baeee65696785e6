"""Images and annotations read in place: one interface over zip, tar and folder.

`open_archive(path)` looks at the content, not at the file's name. An archive reads
lazily and can be used in several processes: a zip is opened anew in each, a tar is
read with positioned reads that share no file offset, and a pickled archive carries
its path alone. Nothing is unpacked; a compressed tar alone, which has no random
access, goes through an unnamed temporary file in each process that opens it.
"""

import bz2
import errno
import gzip
import lzma
import os
import shutil
import tarfile
import tempfile
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from mlrpl.errors import UserError

_COMPRESSED: dict[bytes, Callable[..., Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\x00": lzma.open,
}
_BLOCK = tarfile.BLOCKSIZE


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
            UserError: `name` is not in the archive, is damaged, or leads out of it.
        """
        _refuse_escape(name, self.path)
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
                    _member(info.filename, self.path): info
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
        _refuse_escape(name, self.path)
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


class TarArchive(Archive):
    """A tar file, indexed once; plain, or compressed by gzip, bzip2 or xz."""

    kind = "tar"

    def __init__(self, path: str | os.PathLike):
        super().__init__(path)
        self._file: IO[bytes] | None = None
        self._members: dict[str, tuple[int, int]] = {}

    def _open(self) -> IO[bytes]:
        if self._file is None:
            try:
                stream = _plain_tar(self.path)
                try:
                    self._members = _tar_members(stream, self.path)
                except BaseException:
                    stream.close()
                    raise
            except (
                tarfile.TarError,
                zlib.error,
                lzma.LZMAError,
                EOFError,
                OSError,
            ) as error:
                if getattr(error, "errno", None) == errno.ENOSPC:
                    raise UserError(
                        f"{self.path}: cannot be unpacked, {tempfile.gettempdir()} is "
                        "full; set TMPDIR to a folder with room, or store a plain tar"
                    ) from error
                raise self._damaged(error) from error
            self._file = stream
        return self._file

    def names(self) -> tuple[str, ...]:
        """Return the names of all files, in the order of the tar."""
        self._open()
        return tuple(self._members)

    def __contains__(self, name: object) -> bool:
        self._open()
        return name in self._members

    def _read(self, name: str) -> bytes:
        offset, size = self._members[name]
        data = os.pread(self._open().fileno(), size, offset)
        if len(data) != size:
            raise self._damaged(f"{name}: {len(data)} of {size} bytes")
        return data

    def close(self) -> None:
        """Close the tar file."""
        if self._file is not None:
            self._file.close()
        self._file = None


def open_archive(path: str | os.PathLike) -> Archive:
    """Return the archive at `path`; close it, or use it in a `with` statement.

    Raises:
        UserError: nothing is there, or it is no zip, tar or folder.
    """
    path = Path(path)
    if path.is_dir():
        return FolderArchive(path)
    try:
        with path.open("rb") as file:
            start = file.read(_BLOCK)
    except FileNotFoundError as error:
        raise UserError(
            f"{path}: is not there; download it, or give the path where it lies"
        ) from error
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read ({error.strerror}); check its permissions"
        ) from error
    if start.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return ZipArchive(path)
    if start.startswith(tuple(_COMPRESSED)) or tarfile.is_tarfile(path):
        return TarArchive(path)
    raise UserError(
        f"{path}: is no zip, tar or folder; if it was downloaded, delete it and "
        "fetch it again"
    )


def some(names: tuple[str, ...] | list[str], limit: int = 5) -> str:
    """List the first names for a message: 'a, b and 7 more'."""
    if len(names) <= limit:
        return ", ".join(names) or "nothing"
    return f"{', '.join(names[:limit])} and {len(names) - limit} more"


def _one_line(reason: object) -> str:
    return " ".join(str(reason).split()) or type(reason).__name__


def _refuse_escape(name: str, path: Path) -> None:
    if name.startswith("/") or ".." in name.split("/"):
        raise UserError(
            f"{path}: {name} leads out of the archive; use names relative to its top"
        )


def _member(name: str, path: Path) -> str:
    """Return a member's plain name: `./a` and `a` are one file."""
    _refuse_escape(name, path)
    while name.startswith("./"):
        name = name[2:].lstrip("/")
    return name


def _plain_tar(path: Path) -> IO[bytes]:
    """Return a file with the tar's uncompressed bytes."""
    with path.open("rb") as file:
        start = file.read(6)
    for magic, opener in _COMPRESSED.items():
        if start.startswith(magic):
            unpacked = tempfile.TemporaryFile()  # noqa: SIM115 - the caller's
            with opener(path) as packed:
                shutil.copyfileobj(packed, unpacked, 1 << 20)
            unpacked.flush()
            return unpacked
    return path.open("rb")


def _tar_members(stream: IO[bytes], path: Path) -> dict[str, tuple[int, int]]:
    """Return offset and size of the content of each plain file in a tar."""
    members = {}
    stream.seek(0)
    with tarfile.open(fileobj=stream, mode="r:") as tar:
        while (info := tar.next()) is not None:
            if info.isreg() and not info.issparse():
                members[_member(info.name, path)] = (info.offset_data, info.size)
            tar.members = []  # type: ignore[attr-defined]  # they would add up
        end = tar.offset
    # tarfile takes the end of a cut file, or a damaged header, for the end of the tar;
    # a whole tar ends with a block of zeros.
    if os.pread(stream.fileno(), _BLOCK, end) != bytes(_BLOCK):
        raise tarfile.ReadError("it breaks off without the end mark of a tar")
    return members
