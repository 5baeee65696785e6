"""A tar file with random access: indexed once, then positioned reads."""

import bz2
import errno
import gzip
import io
import lzma
import os
import posixpath
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

from mlrpl.archives.base import ListedArchive, plain_name
from mlrpl.errors import UserError

COMPRESSED: dict[bytes, Callable[..., Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\x00": lzma.open,
}
_BLOCK = tarfile.BLOCKSIZE
# What tarfile and the decompressors raise for a file that they cannot read.
_ERRORS = (
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    ValueError,
    OverflowError,
    RecursionError,
    MemoryError,
)
# Most bytes of one header. A name may be in a block of its own, of any size.
_LONGEST_HEADER = 1 << 20
# Most links from one to the next.
_LONGEST_CHAIN = 40


class TarArchive(ListedArchive):
    """A tar file, indexed once; plain, or compressed by gzip, bzip2 or xz.

    A link to a file of the same tar is that file by another name.
    """

    kind = "tar"

    def __init__(self, path: str | os.PathLike):
        super().__init__(path)
        self._file: IO[bytes] | None = None
        self._members: dict[str, tuple[int, int]] = {}
        self._left_out: dict[str, str] = {}

    def _open(self) -> IO[bytes]:
        if self._file is None:
            try:
                stream = _plain_tar(self.path)
                try:
                    self._members, self._left_out = _tar_members(stream, self.path)
                except BaseException:
                    stream.close()
                    raise
            except _ERRORS as error:
                if getattr(error, "errno", None) == errno.ENOSPC:
                    raise UserError(
                        f"{self.path}: cannot be unpacked, {tempfile.gettempdir()} is "
                        "full; set TMPDIR to a folder with room, or store a plain tar"
                    ) from error
                raise self._failed(error) from error
            self._file = stream
        return self._file

    def size(self, name: str) -> int:
        """Return the bytes of a file."""
        self._open()
        return self._members[name][1]

    def left_out(self) -> Mapping[str, str]:
        """Return links that lead nowhere, and what is no plain file."""
        self._open()
        return self._left_out

    def tail(self, name: str, count: int) -> bytes:
        """Return the last bytes of a file, or all of a shorter one."""
        self._open()
        offset, size = self._members[name]
        count = min(count, size)
        return self._bytes(name, offset + size - count, count)

    def _read(self, name: str) -> bytes:
        return self._bytes(name, *self._members[name])

    def _bytes(self, name: str, offset: int, size: int) -> bytes:
        file, found = self._open().fileno(), b""
        try:
            while len(found) < size:  # one call reads 2 GB at most
                piece = os.pread(file, size - len(found), offset + len(found))
                if not piece:
                    raise self._damaged(f"{name}: {len(found)} of {size} bytes")
                found = found + piece if found else piece
        except (OSError, MemoryError) as error:
            raise self._failed(error, name) from error
        return found

    def close(self) -> None:
        """Close the tar file."""
        if self._file is not None:
            self._file.close()
        self._file = None


class _Headers(io.RawIOBase):
    """A tar's stream for tarfile, which reads headers alone and skips the rest."""

    def __init__(self, stream: IO[bytes]):
        self._stream = stream

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _LONGEST_HEADER:
            raise tarfile.ReadError(f"a header has {size} bytes")
        return self._stream.read(size)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()


def is_tar(path: Path) -> bool:
    """Return whether a file that is not compressed begins as a tar does."""
    with path.open("rb") as stream:
        try:
            tarfile.open(fileobj=_Headers(stream), mode="r:").close()
        except tarfile.TarError:
            return False
        except _ERRORS:  # a tar with damage, as reading it will say
            return True
    return True


def _plain_tar(path: Path) -> IO[bytes]:
    """Return a file with the tar's uncompressed bytes."""
    with path.open("rb") as file:
        start = file.read(6)
    for magic, opener in COMPRESSED.items():
        if start.startswith(magic):
            unpacked = tempfile.TemporaryFile()  # noqa: SIM115 - the caller's
            try:
                with opener(path) as packed:
                    shutil.copyfileobj(packed, unpacked, 1 << 20)
                unpacked.flush()
            except BaseException:
                unpacked.close()
                raise
            return unpacked
    return path.open("rb")


def _tar_members(
    stream: IO[bytes], path: Path
) -> tuple[dict[str, tuple[int, int]], dict[str, str]]:
    """Return offset and size of each file in a tar, and the reasons of what is none."""
    members: dict[str, tuple[int, int] | str] = {}
    left_out = {}
    end_of_file = stream.seek(0, io.SEEK_END)
    stream.seek(0)
    with tarfile.open(fileobj=_Headers(stream), mode="r:") as tar:
        while (info := tar.next()) is not None:
            if info.isreg() and not info.issparse():
                if not 0 <= info.size <= end_of_file - info.offset_data:
                    raise tarfile.ReadError(f"{info.name}: {info.size} bytes")
                members[plain_name(info.name, path)] = (info.offset_data, info.size)
            elif info.islnk() or info.issym():
                members[info.name.removeprefix("./")] = _target(info)
            elif not info.isdir():
                kind = "a sparse file" if info.issparse() else "no file"
                left_out[info.name] = f"is {kind}"
            tar.members = []  # type: ignore[attr-defined]  # they would add up
        end = tar.offset
    # tarfile takes the end of a cut file, or a damaged header, for the end of the tar;
    # a whole tar ends with a block of zeros.
    if os.pread(stream.fileno(), _BLOCK, end) != bytes(_BLOCK):
        raise tarfile.ReadError("it breaks off without the end mark of a tar")
    found = {}
    for name, member in members.items():
        place = _followed(member, members)
        if isinstance(place, str):
            left_out[name] = f"is a link to {place}, which is no file of this tar"
        else:
            found[plain_name(name, path)] = place
    return found, left_out


def _target(info: tarfile.TarInfo) -> str:
    """Return the name that a link leads to; a hard one is relative to the top."""
    name = info.linkname
    if info.issym():
        name = posixpath.join(posixpath.dirname(info.name), name)
    return posixpath.normpath(name)


def _followed(
    member: tuple[int, int] | str, members: Mapping[str, tuple[int, int] | str]
) -> tuple[int, int] | str:
    """Return the place that a chain of links ends at, or the name where it breaks."""
    for _ in range(_LONGEST_CHAIN):
        if not isinstance(member, str) or member not in members:
            break
        member = members[member]
    return member
