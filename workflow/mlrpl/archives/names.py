"""Which file of an archive a name means that is spelled otherwise.

Labels are written on one system, archives on another: backslashes, `%20`, letter case,
accents composed or not, and zips in an encoding that they do not state. A name that is
in the archive as it stands is always taken as it stands.
"""

import posixpath
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from urllib.parse import unquote

from mlrpl.archives.base import Archive, some

# Endings of the formats that are read as pictures; letter case does not matter.
PICTURE_SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".dib", ".tif"),
    *(".tiff", ".gif", ".ppm", ".pgm", ".pbm", ".pnm", ".jp2", ".j2k", ".avif"),
)
# Encodings that zips have their names in without saying so. zipfile takes the bytes for
# code page 437.
_ENCODINGS = (
    "gbk",
    "big5",
    "shift_jis",
    "euc_kr",
    "cp1252",
    "cp850",
    "cp1251",
    "cp866",
)


def is_picture(name: str) -> bool:
    """Return whether a name ends as pictures do."""
    return name.lower().endswith(PICTURE_SUFFIXES)


def own_names(names: Iterable[str]) -> list[str]:
    """Return names without what macOS adds to archives beside each file."""
    return [
        name
        for name in names
        if not name.startswith("__MACOSX/")
        and not posixpath.basename(name).startswith("._")
    ]


class Names:
    """The names of an archive's files, to be found by other spellings."""

    def __init__(self, names: Iterable[str], left_out: Mapping[str, str] | None = None):
        """Take names; ways to spell them are tried when they are needed.

        Args:
            names: of the files.
            left_out: what is there and is no file, with the reason.
        """
        self.all = frozenset(names)
        self._left_out = left_out or {}
        self._tables: dict[Callable[[str], str], Mapping[str, list[str]]] = {}

    @classmethod
    def of(cls, archive: Archive) -> "Names":
        """Return the names of an archive."""
        names = archive.names()
        return cls(names, archive.left_out())

    def __contains__(self, name: str) -> bool:
        return name in self.all

    def find(self, name: str) -> str | None:
        """Return the one file that a name means, None where none or several could.

        The first of these ways that fits any file decides: as it is; with slashes,
        composed accents and without `./`; with `%20` and the like as characters; in
        any letter case; in the bytes of another encoding.
        """
        if name in self.all:
            return name
        for folding in (_slashes, _unquoted, _caseless):
            found = self._folded(folding).get(folding(name))
            if found:
                return found[0] if len(found) == 1 else None
        for encoding in _ENCODINGS:
            try:
                other = _slashes(name).encode(encoding).decode("cp437")
            except UnicodeError:
                continue
            if other in self.all:
                return other
        return None

    def hint(self, name: str) -> str:
        """Return where a file might be that `find` does not find; else nothing.

        A clause that goes on after "is not in ARCHIVE": ", which has x/a.jpg".
        """
        wanted = _caseless(name)
        for other, reason in self._left_out.items():
            if f"{wanted}/".startswith(f"{_caseless(other)}/"):
                return f", where {other} {reason}"
        if same := self._folded(_caseless).get(wanted):
            return f", which has {some(same)}"
        if same := self._folded(_basename).get(_basename(name)):
            return f", which has {some(same, 1)}"
        same = [n for n in self._folded(_stem).get(_stem(name), ()) if is_picture(n)]
        if same and (is_picture(name) or "." not in name):
            return f", which has {some(same, 1)}"
        if listed := [f"{key} {why}" for key, why in self._left_out.items()]:
            return f", where {some(listed, 1)}"
        return ""

    def with_stem(self, stem: str) -> list[str]:
        """Return the pictures that have a name but for the ending, in their order."""
        found = self._folded(_without_suffix).get(stem, ())
        return [n for n in found if is_picture(n)]

    def _folded(self, folding: Callable[[str], str]) -> Mapping[str, list[str]]:
        """Return the names by what a folding makes of them."""
        if folding not in self._tables:
            table = defaultdict(list)
            for name in sorted(self.all):
                table[folding(name)].append(name)
            self._tables[folding] = table
        return self._tables[folding]


def _slashes(name: str) -> str:
    """Return a name with slashes alone, without `./`, accents composed."""
    first, *parts = unicodedata.normalize("NFC", name).replace("\\", "/").split("/")
    parts = [part for part in parts if part not in ("", ".")]
    return "/".join(parts if first == "." else [first, *parts])


def _unquoted(name: str) -> str:
    return _slashes(unquote(name))


def _caseless(name: str) -> str:
    return _unquoted(name).casefold()


def _without_suffix(name: str) -> str:
    return posixpath.splitext(name)[0]


def _basename(name: str) -> str:
    return posixpath.basename(_caseless(name))


def _stem(name: str) -> str:
    return _without_suffix(_basename(name))
