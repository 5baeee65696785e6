"""A CSV table of labels: a row for each image, a column for each class or one for all.

Of many columns each cell says present, absent or unknown. One column for all lists the
classes that are present, `cat|dog`, and the rest are absent, or unknown.
"""

import csv
from collections.abc import Iterable, Sequence
from os import PathLike

import numpy as np

from mlrpl.archives.formats import open_archive, some
from mlrpl.data.checks import checked
from mlrpl.data.index import Index
from mlrpl.errors import UserError

# Whole numbers in a column with empty cells are written with a point by pandas.
_CELLS = {"1": 1, "1.0": 1, "0": -1, "0.0": -1, "": 0}
SEPARATOR = "|"
UNLISTED = {"absent": -1, "unknown": 0}


def read_index(
    images: str | PathLike,
    labels: str | PathLike,
    *,
    dataset: str,
    split: str,
    select: str | None = None,
    column: str | None = None,
    classes: Sequence[str] | None = None,
    unlisted: str = "absent",
    allow_empty_classes: bool = False,
) -> Index:
    """Return the index of one split of a table; rows in the file's order.

    Args:
        images: archive or folder with the images.
        labels: UTF-8 CSV with a header: a column `image` with names inside `images`,
            optionally a column `split`, and a column for each class with cells of 1
            (present), 0 (absent) or empty (unknown); or a column that lists the
            present classes, with `|` between them.
        dataset: the data set's name.
        split: the split's name.
        select: take the rows with this text in the column `split`; needed where the
            table has that column.
        column: the column that lists the present classes; other columns are not read.
        classes: the classes of that column, in order; by default all that any row of
            the table has, sorted.
        unlisted: what a class is that a row does not list, `absent` or `unknown`.
        allow_empty_classes: accept classes without any positive label.

    Raises:
        UserError: an unreadable table, any other cell (named by row and column), or
            what `checked` refuses.
    """
    try:
        with open(labels, newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, strict=True)
            header = [name.strip() for name in next(reader, [])]
            _check_header(header, labels, select, column)
            rows = [(reader.line_num, row) for row in reader if row]
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
    _check_rows(rows, header, labels)
    chosen = _chosen(rows, header, labels, select)
    place = header.index("image")
    if column is None:
        names = [name for name in header if name not in ("image", "split")]
        matrix = [_cells(number, row, header, labels) for number, row in chosen]
    else:
        listed = [_listed(row, header.index(column)) for _, row in rows]
        names = list(classes or sorted({name for one in listed for name in one}))
        matrix = [
            _list_cells(number, row, header, labels, column, names, unlisted)
            for number, row in chosen
        ]
    index = Index(
        dataset=dataset,
        split=split,
        classes=tuple(names),
        images=tuple(row[place].strip() for _, row in chosen),
        labels=np.array(matrix, np.int8).reshape(len(chosen), len(names)),
    )
    with open_archive(images) as archive:
        return checked(index, archive, labels, allow_empty_classes)


Row = tuple[int, list[str]]


def _check_header(
    header: list[str],
    labels: str | PathLike,
    select: str | None,
    column: str | None,
) -> None:
    """Refuse a header that lacks what is asked for."""
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
    if column is not None and (column not in header or column in ("image", "split")):
        raise UserError(
            f"{labels}: has no column {column} with lists of classes; its columns are "
            f"{some(header)}"
        )
    if "" in header and column is None:
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


def _check_rows(rows: Iterable[Row], header: list[str], labels: str | PathLike) -> None:
    for number, row in rows:
        if len(row) != len(header):
            raise UserError(
                f"{labels}: row {number} has {len(row)} cells, the header "
                f"{len(header)}; repair it"
            )


def _chosen(
    rows: list[Row], header: list[str], labels: str | PathLike, select: str | None
) -> list[Row]:
    """Return the rows of the split, each of which has to name its image."""
    chosen = rows
    if select is not None:
        place = header.index("split")
        chosen = [(n, row) for n, row in rows if row[place].strip() == select]
        if rows and not chosen:
            splits = list(dict.fromkeys(row[place].strip() for _, row in rows))
            raise UserError(
                f"{labels}: no row has split {select}; select one of {some(splits)}"
            )
    for number, row in chosen:
        if not row[header.index("image")].strip():
            raise UserError(
                f"{labels}: row {number}, column image: is empty; name the image"
            )
    return chosen


def _cells(
    number: int, row: list[str], header: list[str], labels: str | PathLike
) -> list[int]:
    """Return a row's labels, one a class."""
    found = []
    for name, text in zip(header, row, strict=True):
        if name in ("image", "split"):
            continue
        if text.strip() not in _CELLS:
            hint = ""
            if SEPARATOR in text or not text.strip().replace(".", "", 1).isdigit():
                hint = "; for a column that lists classes set column in the config"
            raise UserError(
                f"{labels}: row {number}, column {name}: {text!r} is not allowed; "
                f"write 1 (present), 0 (absent) or nothing (unknown){hint}"
            )
        found.append(_CELLS[text.strip()])
    return found


def _listed(row: list[str], place: int) -> list[str]:
    """Return the classes that a row lists."""
    return [name.strip() for name in row[place].split(SEPARATOR) if name.strip()]


def _list_cells(
    number: int,
    row: list[str],
    header: list[str],
    labels: str | PathLike,
    column: str,
    classes: Sequence[str],
    unlisted: str,
) -> list[int]:
    """Return a row's labels out of its list."""
    listed = _listed(row, header.index(column))
    if unknown := [name for name in listed if name not in classes]:
        raise UserError(
            f"{labels}: row {number}, column {column}: {some(unknown)} is not one of "
            f"the classes {some(tuple(classes))}; add it to classes in the config"
        )
    return [1 if name in listed else UNLISTED[unlisted] for name in classes]
