"""Images and annotations read in place: one interface over zip, tar and folder.

`open_archive(path)` looks at the content, not at the file's name. An archive reads
lazily and can be used in several processes: a zip is opened anew in each, a tar is
read with positioned reads that share no file offset, and a pickled archive carries
its path alone. Nothing is unpacked; a compressed tar alone, which has no random
access, goes through an unnamed temporary file in each process that opens it.
"""

import os
import tarfile
from pathlib import Path

from mlrpl.archives.base import Archive, require_file, some
from mlrpl.archives.folder import FolderArchive
from mlrpl.archives.tar import COMPRESSED, TarArchive, is_tar
from mlrpl.archives.zip import ZipArchive
from mlrpl.errors import UserError

__all__ = [
    "Archive",
    "FolderArchive",
    "TarArchive",
    "ZipArchive",
    "open_archive",
    "some",
]

# The first bytes of archives of other kinds.
_OTHERS = {
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"Rar!\x1a\x07": "a RAR archive",
    b"\x28\xb5\x2f\xfd": "packed by Zstandard",
    b"\x04\x22\x4d\x18": "packed by LZ4",
    b"LZIP": "packed by lzip",
    b"\x1f\x9d": "packed by compress",
    b"MSCF": "a cabinet",
    b"\x89HDF": "an HDF5 file",
    b"SQLite format 3": "a database",
}


def open_archive(path: str | os.PathLike) -> Archive:
    """Return the archive at `path`; close it, or use it in a `with` statement.

    Raises:
        UserError: nothing is there, or it is not a zip, tar or folder.
    """
    path = Path(path)
    if path.is_dir():
        return FolderArchive(path)
    require_file(path, "download it, or give its path")
    try:
        with path.open("rb") as file:
            start = file.read(tarfile.BLOCKSIZE)
        if start.startswith((b"PK\x03\x04", b"PK\x05\x06")):
            return ZipArchive(path)
        if start.startswith(tuple(COMPRESSED)) or is_tar(path):
            return TarArchive(path)
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read ({error.strerror}); check its permissions"
        ) from error
    for mark, name in _OTHERS.items():
        if start.startswith(mark):
            raise UserError(
                f"{path}: is {name}, which cannot be read here; unpack it and give the "
                "folder, or pack it as a zip or tar"
            )
    if start.startswith(b"PK\x07\x08"):
        raise UserError(
            f"{path}: is one part of a zip of several; join the parts "
            "(zip -s 0 FIRST --out WHOLE)"
        )
    raise UserError(
        f"{path}: is not a zip, tar or folder; if it was downloaded, delete it and "
        "fetch it again"
    )
