"""Every picture and label of a data set, looked at before anything is extracted.

All faults are found at once: pictures that cannot be read, files that are the same
picture, and how many positive and unknown labels each class has.
"""

import hashlib
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from mlrpl.archives.formats import open_archive, some
from mlrpl.config import raw_files
from mlrpl.data import coco, csv_table, voc
from mlrpl.data.index import Index
from mlrpl.encoder.decoding import PictureError, decode
from mlrpl.encoder.images import LARGEST_FILE
from mlrpl.errors import UserError

NAMED = 20  # faults that are named one by one; the rest is counted


@dataclass(frozen=True)
class SplitCheck:
    """What one split holds.

    Attributes:
        index: its images, classes and labels.
        path: of its pictures.
        unreadable: by image, why it cannot be read.
        hashes: by image, the SHA-256 of its file.
    """

    index: Index
    path: str
    unreadable: Mapping[str, str] = field(default_factory=dict)
    hashes: Mapping[str, str] = field(default_factory=dict)


def read_split(config: Mapping[str, Any], dataset: str, split: str) -> Index:
    """Return the index of a split as the workflow makes it.

    Raises:
        UserError: what the readers of its format refuse.
    """
    entry = config["datasets"][dataset]
    part = entry["splits"][split]

    def path(key: str) -> str:
        return raw_files.split_source(config, dataset, split, key)

    common = {
        "dataset": dataset,
        "split": split,
        "allow_empty_classes": entry["allow_empty_classes"],
    }
    if entry["format"] == "coco":
        return coco.read_index(
            path("images"),
            path("annotations"),
            member=part.get("member"),
            keep=entry["keep"],
            prefix=part.get("prefix", ""),
            classes=entry.get("classes"),
            **common,
        )
    if entry["format"] == "voc":
        return voc.read_index(
            path("images"),
            part["imageset"],
            difficult=entry["difficult"],
            classes=entry.get("classes") or voc.VOC_CLASSES,
            **common,
        )
    return csv_table.read_index(
        path("images"),
        path("labels"),
        select=part.get("select"),
        column=part.get("column"),
        classes=entry.get("classes"),
        unlisted=entry.get("unlisted", "absent"),
        **common,
    )


def check_split(
    config: Mapping[str, Any],
    dataset: str,
    split: str,
    threads: int = 1,
    tick: Callable[[], object] = lambda: None,
) -> SplitCheck:
    """Read and decode every picture of a split.

    Args:
        config: the checked configuration.
        dataset: name of the data set.
        split: `train` or `test`.
        threads: that decode.
        tick: called after each picture.

    Raises:
        UserError: labels that cannot be read; a picture is no reason.
    """
    index = read_split(config, dataset, split)
    path = raw_files.split_source(config, dataset, split, "images")
    unreadable: dict[str, str] = {}
    hashes: dict[str, str] = {}

    def look(name: str) -> tuple[str, str | None]:
        try:
            data = archive.read(name, LARGEST_FILE)
        except UserError as error:
            return "", str(error)
        try:
            decode(data)
        except PictureError as error:
            return "", f"{error}; {error.remedy}"
        return hashlib.sha256(data).hexdigest(), None

    with open_archive(path) as archive, ThreadPoolExecutor(threads) as pool:
        for name, (digest, fault) in zip(
            index.images, pool.map(look, index.images), strict=True
        ):
            if fault is None:
                hashes[name] = digest
            else:
                unreadable[name] = fault
            tick()
    return SplitCheck(index, path, unreadable, hashes)


def faults(checks: Mapping[str, SplitCheck]) -> list[str]:
    """Return a line for each picture that cannot be read, and for shared pictures."""
    found = []
    for split, check in checks.items():
        lines = [
            f"{check.path}: {name}: {why}" for name, why in check.unreadable.items()
        ]
        found += lines[:NAMED]
        if len(lines) > NAMED:
            found.append(f"{check.path}: {len(lines) - NAMED} more pictures of {split}")
    names = list(checks)
    for place, first in enumerate(names):
        for second in names[place + 1 :]:
            if pairs := _shared(checks[first], checks[second]):
                found.append(
                    f"the same pictures are in {first} and in {second} ({len(pairs)}): "
                    f"{some([' = '.join(pair) for pair in pairs])}; a test on pictures "
                    "of the training says little: take them out of one"
                )
    return found


def notes(checks: Mapping[str, SplitCheck]) -> list[str]:
    """Return what is worth a look and stops nothing: pictures that are there twice."""
    said = []
    for split, check in checks.items():
        by_hash: dict[str, list[str]] = {}
        for name, digest in check.hashes.items():
            by_hash.setdefault(digest, []).append(name)
        twice = [" = ".join(names) for names in by_hash.values() if len(names) > 1]
        if twice:
            said.append(f"{split}: the same picture under several names: {some(twice)}")
    return said


def class_table(checks: Mapping[str, SplitCheck]) -> list[str]:
    """Return lines: positives and unknown cells of each class in each split."""
    first = next(iter(checks.values())).index
    heads = ["class"]
    columns: list[list[str]] = [list(first.classes)]
    for split, check in checks.items():
        labels = check.index.labels
        heads += [f"{split} positive", f"{split} unknown"]
        columns.append([str(n) for n in (labels == 1).sum(axis=0)])
        columns.append([str(n) for n in (labels == 0).sum(axis=0)])
    widths = [max(map(len, [h, *c])) for h, c in zip(heads, columns, strict=True)]
    rows = [heads, *zip(*columns, strict=True)]
    return [
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])])
        for row in rows
    ]


def _shared(first: SplitCheck, second: SplitCheck) -> list[tuple[str, str]]:
    names = {digest: name for name, digest in first.hashes.items()}
    return [
        (names[digest], name)
        for name, digest in second.hashes.items()
        if digest in names
    ]
