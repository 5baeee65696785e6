"""A CSV table of labels, a row for each image and a column for each class."""

import csv
from collections.abc import Iterable
from os import PathLike

import numpy as np

from mlrpl.archives.formats import open_archive, some
from mlrpl.data.checks import checked
from mlrpl.data.index import Index
from mlrpl.errors import UserError

_CELLS = {"1": 1, "0": -1, "": 0}


def read_index(
    images: str | PathLike,
    labels: str | PathLike,
    *,
    dataset: str,
    split: str,
    select: str | None = None,
    allow_empty_classes: bool = False,
) -> Index:
    """Return the index of one split of a table; rows in the file's order.

    Args:
        images: archive or folder with the images.
        labels: UTF-8 CSV with a header: a column `image` with names inside `images`,
            optionally a column `split`, and a column for each class with cells of 1
            (present), 0 (absent) or empty (unknown).
        dataset: the data set's name.
        split: the split's name.
        select: take the rows with this text in the column `split`; needed where the
            table has that column.
        allow_empty_classes: accept classes without any positive label.

    Raises:
        UserError: an unreadable table, any other cell (named by row and column), or
            what `checked` refuses.
    """
    try:
        with open(labels, newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, strict=True)
            header = [name.strip() for name in next(reader, [])]
            rows = ((reader.line_num, row) for row in reader)
            classes = _classes(header, labels, select)
            names, matrix, splits = _rows(rows, header, labels, select)
    except FileNotFoundError as error:
        raise UserError(
            f"{labels}: is not there; give the path of the table of labels"
        ) from error
    except OSError as error:
        raise UserError(
            f"{labels}: cannot be read ({error.strerror}); give a CSV file"
        ) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(
            f"{labels}: is not a CSV table in UTF-8 ({error}); save it as one"
        ) from error
    if not names and splits:
        raise UserError(
            f"{labels}: no row has split {select}; select one of {some(splits)}"
        )
    index = Index(
        dataset=dataset,
        split=split,
        classes=classes,
        images=tuple(names),
        labels=np.array(matrix, np.int8).reshape(len(names), len(classes)),
    )
    with open_archive(images) as archive:
        return checked(index, archive, labels, allow_empty_classes)


def _classes(
    header: list[str], labels: str | PathLike, select: str | None
) -> tuple[str, ...]:
    if "image" not in header:
        raise UserError(
            f"{labels}: the header has no column image; its columns are {some(header)}"
        )
    for name in ("image", "split"):
        if header.count(name) > 1:
            columns = [str(c + 1) for c, other in enumerate(header) if other == name]
            raise UserError(
                f"{labels}: columns {' and '.join(columns)} are both called {name}, "
                f"which is the column of the {name}s; rename a class of that name"
            )
    if "" in header:
        raise UserError(
            f"{labels}: column {header.index('') + 1} has no name; name its class "
            "or delete it"
        )
    if "split" in header and select is None:
        raise UserError(
            f"{labels}: has a column split; select one of its values, so that train "
            "and test stay apart"
        )
    if "split" not in header and select is not None:
        raise UserError(
            f"{labels}: has no column split to select {select} from; add it, or "
            "use a file for each split"
        )
    return tuple(name for name in header if name not in ("image", "split"))


def _rows(
    rows: Iterable[tuple[int, list[str]]],
    header: list[str],
    labels: str | PathLike,
    select: str | None,
) -> tuple[list[str], list[list[int]], list[str]]:
    """Return names and labels of the selected rows, and all splits that occur."""
    image = header.index("image")
    split = header.index("split") if "split" in header else None
    columns = [c for c in range(len(header)) if c not in (image, split)]
    names: list[str] = []
    matrix: list[list[int]] = []
    splits: dict[str, None] = {}
    for number, row in rows:
        if not row:
            continue
        where = f"{labels}: row {number}"
        if len(row) != len(header):
            raise UserError(
                f"{where} has {len(row)} cells, the header {len(header)}; repair it"
            )
        if split is not None:
            splits[row[split].strip()] = None
            if row[split].strip() != select:
                continue
        if not row[image].strip():
            raise UserError(f"{where}, column image: is empty; name the image")
        try:
            matrix.append([_CELLS[row[c].strip()] for c in columns])
        except KeyError:
            bad = next(c for c in columns if row[c].strip() not in _CELLS)
            raise UserError(
                f"{where}, column {header[bad]}: {row[bad]!r} is not allowed; write 1 "
                "(present), 0 (absent) or nothing (unknown)"
            ) from None
        names.append(row[image].strip())
    return names, matrix, list(splits)
