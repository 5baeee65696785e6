"""A tar file with random access: indexed once, then positioned reads."""

import bz2
import errno
import gzip
import lzma
import os
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from mlrpl.archives.base import Archive, plain_name
from mlrpl.errors import UserError

COMPRESSED: dict[bytes, Callable[..., Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\x00": lzma.open,
}
_BLOCK = tarfile.BLOCKSIZE


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


def _plain_tar(path: Path) -> IO[bytes]:
    """Return a file with the tar's uncompressed bytes."""
    with path.open("rb") as file:
        start = file.read(6)
    for magic, opener in COMPRESSED.items():
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
                members[plain_name(info.name, path)] = (info.offset_data, info.size)
            tar.members = []  # type: ignore[attr-defined]  # they would add up
        end = tar.offset
    # tarfile takes the end of a cut file, or a damaged header, for the end of the tar;
    # a whole tar ends with a block of zeros.
    if os.pread(stream.fileno(), _BLOCK, end) != bytes(_BLOCK):
        raise tarfile.ReadError("it breaks off without the end mark of a tar")
    return members
