"""What every format checks of an index before it is written."""

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from os import PathLike

from mlrpl.archives.formats import Archive, some
from mlrpl.archives.names import Names
from mlrpl.data.index import Index
from mlrpl.errors import UserError


def checked(
    index: Index,
    images: Archive,
    source: str | PathLike,
    allow_empty_classes: bool = False,
    *,
    prefix: str | None = None,
    remove_class: str = "remove the class",
) -> Index:
    """Return `index` after the checks that every format shares.

    An image whose name the archive spells otherwise gets the archive's name, and a line
    on stderr says so.

    Args:
        index: the index to check.
        images: where its images are.
        source: the file with the annotations, to be named in an error.
        allow_empty_classes: accept classes without any positive label.
        prefix: what was put before the images' names; None where the format has none.
        remove_class: how a class is left out, for an error.

    Raises:
        UserError: no image or class, one of them twice or of a name that cannot be
            kept, an annotated image that is not in the archive or cannot be unpacked,
            or a class without any positive.
    """
    _check_texts("class", index.classes, index, source)
    found = _found(index, images, source, prefix)
    if found != index.images:
        index = replace(index, images=found)
    _check_texts("image", index.images, index, source)
    images.check(index.images)
    positives = (index.labels == 1).sum(axis=0)
    empty = [name for name, n in zip(index.classes, positives, strict=True) if not n]
    if empty and not allow_empty_classes:
        raise UserError(
            f"{source}: no image of {index.dataset} {index.split} has class "
            f"{some(empty, 100)}; {remove_class}, or allow classes without any "
            "positive (allow_empty_classes)"
        )
    return index


def _check_texts(
    kind: str, texts: Sequence[str], index: Index, source: str | PathLike
) -> None:
    if not texts:
        raise UserError(
            f"{source}: has no {kind} for {index.dataset} {index.split}; "
            "check the file and its options"
        )
    if twice := [text for text, times in Counter(texts).items() if times > 1]:
        raise UserError(
            f"{source}: {kind} {some(twice)} is listed more than once; "
            "keep one entry each"
        )
    for text in texts:
        if not text.strip():
            raise UserError(f"{source}: a {kind} has the name {text!r}; give it a name")
        # NUL ends a text in HDF5, a line break a line, and a lone surrogate is no text.
        if not text.isprintable() and any(c < " " or _no_text(c) for c in text):
            raise UserError(
                f"{source}: {kind} {text!r} has a line break or a character that "
                "cannot be shown in its name; rename it"
            )


def _no_text(character: str) -> bool:
    return (
        "\x7f" <= character < "\xa0"
        or character in "\u2028\u2029"
        or "\ud800" <= character < "\ue000"
    )


def _found(
    index: Index, images: Archive, source: str | PathLike, prefix: str | None
) -> tuple[str, ...]:
    """Return the names that the archive has for the index's images."""
    names = Names.of(images)
    found = [names.find(name) for name in index.images]
    missing = [n for n, f in zip(index.images, found, strict=True) if f is None]
    if missing:
        hint = names.hint(missing[0])
        raise UserError(
            f"{source}: annotated image {some(missing, 1)} is not in {images.path}"
            f"{hint}; {_remedy(missing[0], hint, prefix)}"
        )
    pairs = zip(index.images, found, strict=True)
    if other := [(n, f) for n, f in pairs if f is not None and f != n]:
        print(
            f"{source}: {len(other)} of {len(found)} images are spelled otherwise in "
            f"{images.path} and were found, for instance {other[0][0]} as "
            f"{other[0][1]}",
            file=sys.stderr,
        )
    return tuple(name for name in found if name is not None)


def _remedy(name: str, hint: str, prefix: str | None) -> str:
    if not hint:
        return "use the archive that the annotations belong to"
    if not hint.startswith(", which has "):
        return "see to that, or pack the images again"
    if prefix is not None:
        other = hint.removeprefix(", which has ").split(" and ")[0]
        wanted = name.removeprefix(prefix)
        if other.endswith(wanted) and other != wanted:
            return f"set the prefix to {other.removesuffix(wanted)}"
        if other == wanted:
            return "set no prefix"
    return "name the images in the annotations as they are there"
