"""Class vectors out of GloVe's published text files, read as a stream."""

import gzip
import io
import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import IO, Any

import numpy as np

from mlrpl.archives.base import require_file
from mlrpl.archives.formats import ZipArchive, some
from mlrpl.archives.names import own_names
from mlrpl.archives.zip import ERRORS
from mlrpl.errors import UserError

# Most bytes of one line: ten times those of 1,000 dimensions. What has more is no text.
_LONGEST_LINE = 1 << 18
_BOM = b"\xef\xbb\xbf"


def class_vectors(
    path: str | PathLike,
    classes: Sequence[str],
    *,
    member: str | None = None,
    words: Mapping[str, str] | None = None,
) -> np.ndarray:
    """Return a vector for each class: the mean of the vectors of its words.

    A class name is lower-cased and split at spaces and underscores. The mean over the
    words is how the field's published class vectors are made.

    Args:
        path: a text file `word number number ...` a line, with spaces or a tab behind
            the word, plain or gzipped, or a zip.
        classes: C class names.
        member: the text file in the zip; needed where that holds several.
        words: other words for some classes, {"tvmonitor": "tv monitor"}.

    Returns:
        float32 [C, D], rows in the order of `classes`.

    Raises:
        UserError: an unreadable file, `words` for an unknown class, or words without
            a vector, each named with its class.
    """
    words = words or {}
    if unknown := [name for name in words if name not in classes]:
        raise UserError(
            f"words: {some(unknown)} is not a class of the data set; the classes are "
            f"{some(tuple(classes), 100)}"
        )
    split = {
        name: words.get(name, name).lower().replace("_", " ").split()
        for name in classes
    }
    if empty := [name for name, parts in split.items() if not parts]:
        raise UserError(f"words: {some(empty)} has no words; give at least one")
    found = word_vectors(path, {w for parts in split.values() for w in parts}, member)
    missing = [
        f"{word} (class {name})"
        for name, parts in split.items()
        for word in dict.fromkeys(parts)
        if word not in found
    ]
    if missing:
        raise UserError(
            f"{path}: has no vector for {some(missing, 100)}; give these classes words "
            "that it has, in the config as `words: {tvmonitor: tv monitor}` of the "
            "data set, or set `words: clip` for CLIP's own text features"
        )
    rows = [np.mean([found[w] for w in split[name]], axis=0) for name in classes]
    return np.array(rows, np.float32)


def word_vectors(
    path: str | PathLike, wanted: set[str], member: str | None = None
) -> dict[str, np.ndarray]:
    """Return float64 [D] for each of the wanted words that the file has.

    Of a word that occurs twice the first vector counts. Memory does not grow with the
    file; reading stops at the last of the wanted words.

    Args:
        path: as in `class_vectors`.
        wanted: words without spaces, as the file spells them.
        member: as in `class_vectors`.

    Raises:
        UserError: the file is unreadable, or holds no vectors.
    """
    keys = {word.encode(): word for word in wanted}
    found: dict[str, np.ndarray] = {}
    try:
        with _stream(Path(path), member) as (stream, source):
            lines = _lines(stream, source)
            start, first = next(lines, (1, b""))
            fields = first.split()
            if len(fields) == 2 and all(field.isdigit() for field in fields):
                dimension = int(fields[1])  # word2vec's header: words, dimension
                start, first = next(lines, (2, b""))
            else:
                dimension = len(fields) - 1
                _floats(fields[1:], dimension, source, 1)
            # A word may hold every blank but the one that ends it.
            blank = b"\t" if b"\t" in first else b" "
            for number, line in itertools.chain([(start, first)], lines):
                key = line.split(blank, 1)[0]
                if key not in keys:
                    continue
                # GloVe 840B has tokens with spaces, "at name@domain.com": they are not
                # the word before the space, and are told by their number of fields.
                values = line.split()[1:]
                if len(values) <= dimension:
                    found[keys.pop(key)] = _floats(values, dimension, source, number)
                if not keys:
                    break
    except ERRORS as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        if isinstance(error, OSError) and error.errno:
            raise UserError(
                f"{path}: cannot be read ({error.strerror}); check the disk"
            ) from error
        raise UserError(
            f"{path}: is truncated or damaged ({reason}); delete it and fetch it again"
        ) from error
    return found


def _lines(stream: IO[bytes], source: str) -> Iterator[tuple[int, bytes]]:
    """Yield the lines of a text with their numbers, without a byte order mark."""
    for number in itertools.count(1):
        line = stream.readline(_LONGEST_LINE)
        if not line:
            return
        if len(line) == _LONGEST_LINE:
            raise UserError(
                f"{source}: line {number} has no end; give GloVe's text format, and "
                "fetch the file again if it should be that"
            )
        yield number, line.removeprefix(_BOM) if number == 1 else line


@contextmanager
def _stream(path: Path, member: str | None) -> Iterator[tuple[IO[bytes], str]]:
    """Yield the text file's bytes, and its name for messages."""
    require_file(path, "download the vectors, or give their path")
    try:
        with path.open("rb") as file:
            start = file.read(4)
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read ({error.strerror}); download the vectors, or "
            "give their path"
        ) from error
    if start == b"PK\x03\x04":
        with ZipArchive(path) as archive:
            name = member or _only(archive)
            with io.BufferedReader(archive.open(name), 1 << 20) as stream:
                yield stream, f"{path}: {name}"
        return
    if member is not None:
        raise UserError(
            f"{path}: is not a zip, so it has no member {member}; leave the member out"
        )
    opener: Any = gzip.open if start.startswith(b"\x1f\x8b") else open
    with opener(path, "rb") as raw, io.BufferedReader(raw, 1 << 20) as stream:
        yield stream, str(path)


def _only(archive: ZipArchive) -> str:
    names = own_names(archive.names())
    if len(names) != 1:
        raise UserError(
            f"{archive.path}: holds {some(names)}; name one of them as the member"
        )
    return names[0]


def _floats(
    values: list[bytes], dimension: int, source: str, number: int
) -> np.ndarray:
    why = ""
    try:
        vector = np.array([float(value) for value in values])
    except ValueError:
        vector = np.array([])
    with np.errstate(over="ignore"):
        finite = np.isfinite(vector.astype(np.float32))
    if not finite.all():
        value = values[int((~finite).argmax())].decode(errors="replace")
        why = f" ({value} is none of 32 bits)"
    if dimension < 2 or len(vector) != dimension or why:
        raise UserError(
            f"{source}: line {number} is not a word with {max(dimension, 2)} numbers"
            f"{why}; give GloVe's text format, and fetch the file again if it should "
            "be that"
        )
    return vector
