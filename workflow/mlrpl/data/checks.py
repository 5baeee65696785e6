"""What every format checks of an index before it is written."""

from collections import Counter
from collections.abc import Sequence
from os import PathLike

from mlrpl.archives.formats import Archive, some
from mlrpl.data.index import Index
from mlrpl.errors import UserError


def checked(
    index: Index,
    images: Archive,
    source: str | PathLike,
    allow_empty_classes: bool = False,
) -> Index:
    """Return `index` after the checks that every format shares.

    Args:
        index: the index to check.
        images: where its images are.
        source: the file with the annotations, to be named in an error.
        allow_empty_classes: accept classes without any positive label.

    Raises:
        UserError: no image or class, one of them twice, an annotated image that is
            not in the archive, or a class without any positive.
    """
    for kind, texts in (("image", index.images), ("class", index.classes)):
        if not texts:
            raise UserError(
                f"{source}: has no {kind} for {index.dataset} {index.split}; "
                "check the file and its options"
            )
        if twice := _repeated(texts):
            raise UserError(
                f"{source}: {kind} {some(twice)} is listed more than once; "
                "keep one entry each"
            )
    present = set(images.names())
    if missing := [name for name in index.images if name not in present]:
        raise UserError(
            f"{source}: annotated image {some(missing, 1)} is not in {images.path}"
            f"{_elsewhere(missing[0], present)}"
        )
    positives = (index.labels == 1).sum(axis=0)
    empty = [name for name, n in zip(index.classes, positives, strict=True) if not n]
    if empty and not allow_empty_classes:
        raise UserError(
            f"{source}: no image of {index.dataset} {index.split} has class "
            f"{some(empty, 100)}; remove the class, or allow classes without any "
            "positive (allow_empty_classes)"
        )
    return index


def _repeated(texts: Sequence[str]) -> list[str]:
    return [text for text, times in Counter(texts).items() if times > 1]


def _elsewhere(name: str, present: set[str]) -> str:
    """Say where in the archive an image's file name does occur."""
    last = "/" + name.rsplit("/", 1)[-1]
    for other in sorted(present):
        if ("/" + other).endswith(last):
            return f", which has {other}; set the prefix, or name the images so"
    return "; use the archive that the annotations belong to"
