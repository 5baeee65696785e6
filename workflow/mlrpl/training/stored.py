"""The small files that a training starts from, each read and checked by itself."""

import json
import os
import tokenize
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torch import Tensor

from mlrpl.data.index import Index
from mlrpl.data.row_blocks import row_blocks
from mlrpl.errors import UserError
from mlrpl.runtime import faults
from mlrpl.runtime.storage import MAPPED
from mlrpl.text.clip_text import ClipText

# numpy.load's, of a file that is not what its name says.
UNREADABLE = (
    *(OSError, ValueError, EOFError, TypeError, KeyError, SyntaxError),
    *(zipfile.BadZipFile, tokenize.TokenError),
)


def read_known(path: str, index: Index) -> np.ndarray:
    """Return the partial labels of a split, int8 [N, C] in -1, 0, 1.

    Raises:
        UserError: the file cannot be read, holds something else, or says known what
            the index says is otherwise.
    """
    known = read_array(path, index.labels.shape, "drop", "iu")
    for rows in row_blocks(known):
        some = known[rows]
        wrong = np.argwhere((some != 0) & (some != index.labels[rows]))
        if not len(wrong):
            continue
        row, column = rows.start + int(wrong[0][0]), int(wrong[0][1])
        value, full = known[row, column], index.labels[row, column]
        if value not in (-1, 0, 1):
            fault = f"{value}, and a label is -1, 0 or 1"
        else:
            fault = f"{value}, and the index has {full}"
        raise UserError(
            f"{path}: the label of {index.images[row]} and class "
            f"{index.classes[column]} is {fault}; remake it with `mlrpl drop`"
        )
    return known.astype(np.int8, copy=False)


def read_vectors(path: str, classes: int) -> np.ndarray:
    """Return the class vectors, float [C, D].

    Raises:
        UserError: the file cannot be read, or holds something else.
    """
    vectors = read_array(path, (classes, None), "glove", "f")
    if not np.isfinite(vectors).all():
        row = int(np.argmin(np.isfinite(vectors).all(axis=1)))
        raise UserError(
            f"{path}: the vector of class {row} has a value that is no finite number; "
            "remake it with `mlrpl glove`"
        )
    return vectors


def read_array(
    path: str, shape: tuple[int | None, ...], command: str, kinds: str
) -> np.ndarray:
    """Return the array of an npy file, in the byte order of this machine.

    Args:
        path: the file.
        shape: its shape, None for any size.
        command: the one that makes such a file.
        kinds: numpy's letters for the types that it may have.

    Raises:
        UserError: the file cannot be read, or has another shape or type.
    """
    try:
        large = os.path.getsize(path) >= MAPPED  # read where it is used
        array = np.load(path, mmap_mode="c" if large else None, allow_pickle=False)
    except UNREADABLE as error:
        remedy = faults.reading_remedy(error) or f"remake it with `mlrpl {command}`"
        raise UserError(
            f"{path}: not a readable npy file ({faults.reason(error)}); {remedy}"
        ) from error
    if not isinstance(array, np.ndarray):
        raise UserError(
            f"{path}: is an archive of several arrays (npz); give the npy file that "
            f"`mlrpl {command}` makes"
        )
    expected = "x".join("?" if size is None else str(size) for size in shape)
    if not _fits(array.shape, shape):
        raise UserError(
            f"{path}: shape {'x'.join(map(str, array.shape))}, but the index makes it "
            f"{expected}; remake it with `mlrpl {command}`"
        )
    if array.dtype.kind not in kinds:
        raise UserError(
            f"{path}: holds values of the type {array.dtype}; remake it with "
            f"`mlrpl {command}`"
        )
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _fits(shape: Sequence[int], wanted: Sequence[int | None]) -> bool:
    return len(shape) == len(wanted) and all(
        size in (None, found) for size, found in zip(wanted, shape, strict=True)
    )


def read_context(text: str, path: str | None, clip: ClipText) -> Tensor | None:
    """Return the token embeddings of a context's start [M, W]; None if it is "random".

    Args:
        text: the option `context_init`.
        path: the file that `mlrpl context` made of it.
        clip: the text side of CLIP.

    Raises:
        UserError: there is no file, it cannot be read, or is of another text or model.
    """
    if text == "random":
        return None
    if path is None:
        raise UserError(
            f"options: context_init: {text}: its tokens are missing; make them with "
            "`mlrpl context` and give --context"
        )
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        found = {key: content[key] for key in ("encoder", "text", "tokens")}
        tokens = [int(token) for token in found["tokens"]]
        if tokens != found["tokens"] or min(tokens, default=0) < 0:
            raise ValueError("its tokens are no list of whole numbers")
        for key, wanted in (("encoder", clip.metadata.get("encoder")), ("text", text)):
            if found[key] != wanted:
                raise UserError(
                    f"{path}: made for the {key} {found[key]}, not {wanted}; remake it "
                    "with `mlrpl context`"
                )
        return clip.embed(tokens)
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise UserError(
            f"{path}: not a readable context ({faults.reason(error)}); remake it with "
            "`mlrpl context`"
        ) from error
