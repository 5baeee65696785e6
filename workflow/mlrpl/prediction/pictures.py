"""Which pictures are to be scored, and what is in them."""

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from torch.utils.data import Dataset

from mlrpl.archives.base import require_file
from mlrpl.archives.names import PICTURE_SUFFIXES, is_picture
from mlrpl.encoder.decoding import PictureError
from mlrpl.encoder.images import Preparation
from mlrpl.errors import UserError


def find_pictures(names: Sequence[str], listed: str | None = None) -> list[str]:
    """Return the paths of pictures, in the order in which they are named.

    Args:
        names: files; folders, of which everything that is called like a picture is
            taken, in alphabetical order; `-` for more names on standard input.
        listed: a file of more names, or `-`.

    Raises:
        UserError: a list that cannot be read, or no picture at all.
    """
    found: list[str] = []
    for name in names:
        found += _from_list("-") if name == "-" else _expanded(name)
    if listed is not None:
        found += _from_list(listed)
    if not found:
        raise UserError(
            f"{', '.join(names) or listed or 'PICTURE'}: no picture is there; name "
            f"files, or folders with files that end in {', '.join(PICTURE_SUFFIXES)}"
        )
    return found


def _expanded(name: str) -> Iterator[str]:
    """Yield a file's name, or a folder's pictures; what is missing is told later."""
    if not os.path.isdir(name):
        yield name
        return
    for folder, below, files in os.walk(name):
        below.sort()
        for file in sorted(files):
            if is_picture(file):
                yield os.path.join(folder, file)


def _from_list(path: str) -> Iterator[str]:
    """Yield the names of a list, one a line."""
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise UserError(
            f"{path}: cannot be read ({reason}); give a text file with the name of one "
            "picture on each line"
        ) from error
    for line in text.splitlines():
        if line.strip():
            yield from _expanded(line.strip())


class Pictures(Dataset):
    """Pictures as the encoder takes them; works in the processes of a DataLoader."""

    def __init__(self, paths: Sequence[str], preparation: Preparation):
        """Take paths of files, and how they are prepared."""
        self._paths, self._preparation = paths, preparation

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, row: int) -> np.ndarray | str:
        """Return the first view, uint8 [S, S, 3], or what is wrong with the picture."""
        path = self._paths[row]
        try:
            require_file(Path(path), "name a picture")
            return self._preparation.pixels(Path(path).read_bytes())[0]
        except PictureError as error:
            return f"{path}: cannot be read ({error})"
        except OSError as error:
            return f"{path}: cannot be read ({error.strerror})"
        except UserError as error:
            return str(error)
