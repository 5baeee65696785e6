"""What a data set's entry names inside its files: looked up before the run, not read.

An archive's list of files and a table's header take seconds; the labels and pictures
themselves are `mlrpl check`'s.
"""

import csv
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from mlrpl.archives.formats import Archive, open_archive, some
from mlrpl.archives.names import PICTURE_SUFFIXES, is_picture, own_names
from mlrpl.config import raw_files
from mlrpl.config.specs import did_you_mean
from mlrpl.data.json_files import annotation_archive, json_members
from mlrpl.errors import UserError


def content_faults(
    config: Mapping[str, Any], datasets: Collection[str], skip: Collection[str] = ()
) -> list[str]:
    """Return one line for each thing that an entry names and its files lack.

    Args:
        config: the checked configuration.
        datasets: the data sets that the runs are on.
        skip: files that have a fault already.
    """
    faults: dict[str, None] = {}
    for name in datasets:
        entry = config["datasets"][name]
        look = {"coco": _coco, "voc": _voc, "csv": _csv}[entry["format"]]
        for split_name, split in entry["splits"].items():
            paths = {
                key: raw_files.split_source(config, name, split_name, key)
                for key in ("images", "annotations", "labels")
                if key in split
            }
            if any(p in skip or not Path(p).exists() for p in paths.values()):
                continue
            where = f"datasets.{name}.splits.{split_name}"
            try:
                look(where, split, paths)
            except UserError as error:
                faults[str(error)] = None
    return list(faults)


def _coco(where: str, split: Mapping[str, Any], paths: Mapping[str, str]) -> None:
    if (archive := annotation_archive(Path(paths["annotations"]))) is not None:
        with archive:
            found = json_members(archive)
            _member(where, archive, split.get("member"), found)
            archive.check([split.get("member") or found[0]])
    prefix = split.get("prefix") or ""
    with open_archive(paths["images"]) as archive:
        pictures = _pictures(archive)
        if not any(name.startswith(prefix) for name in pictures):
            folder = pictures[0][: pictures[0].rfind("/") + 1]
            remedy = f"write {folder}" if folder else "leave it out"
            raise UserError(
                f"{where}.prefix: {paths['images']} has no picture below {prefix}; it "
                f"has {pictures[0]}, so {remedy}"
            )


def _member(where: str, archive: Archive, member: str | None, found: list[str]) -> None:
    if member is None and len(found) != 1:
        raise UserError(
            f"{where}.member: {archive.path} holds {len(found)} JSON files "
            f"({some(found)}); name the one of this split"
        )
    if member is not None and member not in archive:
        hint = did_you_mean(member, found) or f"it has {some(found)}"
        raise UserError(f"{where}.member: {archive.path} holds no {member}; {hint}")


def _voc(where: str, split: Mapping[str, Any], paths: Mapping[str, str]) -> None:
    with open_archive(paths["images"]) as archive:
        sets = [
            name.rsplit("/", 1)[-1].removesuffix(".txt")
            for name in archive.names()
            if "/ImageSets/Main/" in f"/{name}" and name.endswith(".txt")
        ]
        wanted = split["imageset"]
        if wanted not in sets:
            hint = did_you_mean(wanted, sets) or f"it has {some(sets)}"
            raise UserError(
                f"{where}.imageset: {paths['images']} has no "
                f"ImageSets/Main/{wanted}.txt; {hint}"
            )
        if not any("/Annotations/" in f"/{name}" for name in archive.names()):
            raise UserError(
                f"{where}.images: {paths['images']} has no Annotations/; use the "
                "archive that has pictures and annotations"
            )
        _pictures(archive)


def _csv(where: str, split: Mapping[str, Any], paths: Mapping[str, str]) -> None:
    with open_archive(paths["images"]) as archive:
        _pictures(archive)
    path = paths["labels"]
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file)
            header = [name.strip() for name in rows.fieldnames or []]
            splits = sorted({(row.get("split") or "").strip() for row in rows})
    except (OSError, ValueError, csv.Error) as error:
        raise UserError(
            f"{path}: is not a CSV table in UTF-8 ({error}); save it as one"
        ) from error
    if "image" not in header:
        raise UserError(
            f"{path}: the header has no column image; it has {some(header)}"
        )
    select = split.get("select")
    if "split" not in header and select is not None:
        raise UserError(
            f"{where}.select: {path} has no column split; add it, or leave select out"
        )
    if "split" in header and select not in splits:
        remedy = f"no row has {select}; write" if select else "missing; name"
        raise UserError(f"{where}.select: {remedy} one of {some(splits)} of {path}")


def _pictures(archive: Archive) -> list[str]:
    """Return the pictures in an archive: at least one, and all can be unpacked."""
    found = [name for name in own_names(archive.names()) if is_picture(name)]
    if not found:
        raise UserError(
            f"{archive.path}: holds no picture ({', '.join(PICTURE_SUFFIXES)}); it "
            f"holds {some(archive.names())}"
        )
    archive.check(found)
    return found
