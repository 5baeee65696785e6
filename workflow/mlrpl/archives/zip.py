"""A zip file: its names as they are meant, and what of it can be unpacked."""

import contextlib
import lzma
import os
import struct
import zipfile
import zlib
from collections.abc import Iterable
from typing import IO

from mlrpl.archives.base import ListedArchive, plain_name, refuse_escape, some
from mlrpl.errors import UserError

# What zipfile and its decompressors raise for a file that they cannot read.
ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    OSError,
    ValueError,  # a name that is not UTF-8, although its flag says so
    OverflowError,
    IndexError,
    MemoryError,
    RuntimeError,  # its NotImplementedError is a version or a method
)
_METHODS = {
    **{number: name.title() for number, name in zipfile.compressor_names.items()},
    9: "Deflate64",
    93: "Zstandard",
    94: "MP3",
    95: "XZ",
    96: "JPEG",
    98: "PPMd",
    99: "AES encryption",
}
# Bits of a member's flags.
_ENCRYPTED, _PATCHED, _UTF8 = 0x1, 0x20, 0x800
# Bytes that are asked for at once. bzip2 and LZMA give all that the same number of
# packed bytes holds, which may be thousands of times more.
_PIECE, _SMALL_PIECE = 1 << 20, 1 << 12


class ZipArchive(ListedArchive):
    """A zip file, its members stored or packed by deflate, bzip2 or LZMA."""

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
            except ERRORS as error:
                raise self._unopened(error) from error
            try:
                self._members = {
                    plain_name(name, self.path): info
                    for info in opened.infolist()
                    if (name := _name(info)) and not name.endswith("/")
                }
            except UserError:
                opened.close()
                raise
            self._zip, self._pid = opened, os.getpid()
        return self._zip

    def size(self, name: str) -> int:
        """Return the unpacked bytes of a file, as the zip's directory says."""
        self._open()
        return self._members[name].file_size

    def crc(self, name: str) -> int:
        """Return the CRC-32 of a file, as the zip's directory says."""
        self._open()
        return self._members[name].CRC

    def check(self, names: Iterable[str]) -> None:
        """Check that files can be unpacked, by what the zip's directory says of them.

        Raises:
            UserError: for the first that is encrypted or packed by another method.
        """
        self._open()
        for name in names:
            info = self._members[name]
            if info.flag_bits & _ENCRYPTED:
                raise UserError(
                    f"{self.path}: {name} is encrypted; unpack the zip with its "
                    "password and give what was in it, or pack it again without one"
                )
            method = info.compress_type
            if method not in _readable() or info.flag_bits & _PATCHED:
                known = _METHODS.get(method, f"method {method}")
                raise UserError(
                    f"{self.path}: {name} is packed by {known}, which cannot be read "
                    "here; unpack the zip and give what was in it, or pack it again "
                    "with deflate (zip -r)"
                )

    def _read(self, name: str) -> bytes:
        size = self._members[name].file_size
        found = bytearray()
        try:
            with self._stream(name) as stream:
                # Not beyond the size that the directory says: it may be far more.
                while len(found) < size and (piece := stream.read(self._piece(name))):
                    found += piece
                stream.read(1)  # at the end the checksum is compared
        except ERRORS as error:
            raise self._failed(error, name) from error
        if len(found) != size:
            raise self._damaged(f"{name}: {len(found)} of {size} bytes")
        return bytes(found)

    def open(self, name: str) -> IO[bytes]:
        """Return a stream of one member, for members too large to hold at once.

        Raises:
            UserError: as `read`; damage that shows while streaming is the caller's.
        """
        refuse_escape(name, self.path)
        if name not in self:
            raise UserError(
                f"{self.path}: holds no {name}; it holds {some(self.names())}"
            )
        self.check([name])
        try:
            return self._stream(name)
        except ERRORS as error:
            raise self._failed(error, name) from error

    def close(self) -> None:
        """Close the zip file."""
        if self._zip is not None and self._pid == os.getpid():
            self._zip.close()
        self._zip = None

    def _stream(self, name: str) -> IO[bytes]:
        return self._open().open(self._members[name])

    def _piece(self, name: str) -> int:
        method = self._members[name].compress_type
        bounded = method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
        return _PIECE if bounded else _SMALL_PIECE

    def _unopened(self, error: BaseException) -> UserError:
        again = "unpack it and give what was in it, or pack it again (zip -r)"
        if isinstance(error, NotImplementedError):
            return UserError(
                f"{self.path}: cannot be read here ({error} is newer than what is "
                f"known); {again}"
            )
        if isinstance(error, UnicodeDecodeError):
            return UserError(
                f"{self.path}: has a name that is marked as UTF-8 and is not; {again}"
            )
        if "multiple disks" in str(error):
            return UserError(
                f"{self.path}: is one part of a zip of several; join the parts "
                "(zip -s 0 FIRST --out WHOLE)"
            )
        return self._failed(error)


def _readable() -> set[int]:
    """Return the methods of compression that zipfile has here."""
    found = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2}
    found.add(zipfile.ZIP_LZMA)
    if (zstandard := getattr(zipfile, "ZIP_ZSTANDARD", None)) is not None:
        found.add(zstandard)
    return found


def _name(info: zipfile.ZipInfo) -> str:
    """Return a member's name as its writer meant it.

    Without the flag for UTF-8 zipfile reads code page 437. Writers of UTF-8 that forget
    the flag are more, and what is valid as UTF-8 is that. The specification has slashes
    alone; backslashes are those of Windows.
    """
    name = info.filename
    if not info.flag_bits & _UTF8:
        with contextlib.suppress(UnicodeError):
            name = name.encode("cp437").decode()
    return name.replace("\\", "/")
