"""Whether two splits of a data set belong together: their classes, their pictures."""

import hashlib
import zlib
from collections.abc import Callable, Hashable, Sequence

from mlrpl.archives.formats import Archive, ZipArchive
from mlrpl.data.index import Index
from mlrpl.errors import UserError

# What tells a file from others.
Mark = Callable[[Archive, str], Hashable]
# Bytes at the end of a file that are compared before all of it is.
_TAIL = 4096


def check_classes(index: Index, other: Index) -> None:
    """Check that two splits have the same classes in the same order.

    Raises:
        UserError: naming the first class that differs.
    """
    ours, theirs = (index.split, index.classes), (other.split, other.classes)
    check_class_lists(index.dataset, ours, theirs)


def check_class_lists(
    dataset: str, ours: tuple[str, Sequence[str]], theirs: tuple[str, Sequence[str]]
) -> None:
    """Check that two splits, each a name and its classes, have the same in one order.

    Raises:
        UserError: naming the first class that differs.
    """
    if list(ours[1]) == list(theirs[1]):
        return
    where = f"classes of {dataset} {ours[0]}"
    for (here, names), (there, others) in ((ours, theirs), (theirs, ours)):
        if only := [name for name in names if name not in others]:
            raise UserError(
                f"{where}: {only[0]} is a class of {here} and not of {there} (they "
                f"have {len(names)} and {len(others)}); give both splits the same "
                "classes, in the same order"
            )
    number, here, there = next(
        (n, a, b)
        for n, (a, b) in enumerate(zip(ours[1], theirs[1], strict=True), 1)
        if a != b
    )
    raise UserError(
        f"{where}: class {number} is {here} in {ours[0]} and {there} in "
        f"{theirs[0]}; put them into one order (of a CSV, the columns; of COCO, the "
        "ids, or set classes)"
    )


def shared_pictures(
    index: Index, archive: Archive, other: Index, others: Archive
) -> list[str]:
    """Return the images of a split that are also in another one.

    By name, where both lie in one archive, and by content: equal size and checksum. A
    zip has both in its directory; of other files those of equal size are read, and
    first their last bytes alone.

    Args:
        index: the split whose images are returned, in its order.
        archive: where they are.
        other: the other split.
        others: where its images are.
    """
    by_name: set[str] = set()
    if archive.path.resolve() == others.path.resolve():
        by_name = set(index.images) & set(other.images)
    marks: list[Mark] = [_size, _tail, _content]
    if isinstance(archive, ZipArchive) and isinstance(others, ZipArchive):
        marks = [_size, _directory]
    here = [name for name in index.images if name not in by_name]
    there = list(other.images)
    for mark in marks:
        ours = {name: mark(archive, name) for name in here}
        theirs = {name: mark(others, name) for name in there}
        common = set(ours.values()) & set(theirs.values()) - {None}
        here = [name for name in here if ours[name] in common]
        there = [name for name in there if theirs[name] in common]
    found = by_name.union(here)
    return [name for name in index.images if name in found]


def _size(archive: Archive, name: str) -> int | None:
    return archive.size(name) or None  # nothing is no picture


def _directory(archive: Archive, name: str) -> tuple[int, int]:
    assert isinstance(archive, ZipArchive)
    return archive.size(name), archive.crc(name)


def _tail(archive: Archive, name: str) -> tuple[int, int]:
    return archive.size(name), zlib.crc32(archive.tail(name, _TAIL))


def _content(archive: Archive, name: str) -> str:
    return hashlib.sha256(archive.read(name)).hexdigest()
