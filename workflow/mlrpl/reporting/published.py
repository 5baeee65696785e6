"""Numbers that papers print, as tidy CSV files: one printed number in each row.

Columns: `dataset` and `dataset_title` (empty where the paper does not say), `method` as
printed, `prop` (a number, or `average` over the printed proportions), `metric`, `mean`
and `std` as printed, `source` and `table` and `section`: where it stands, `note`.
"""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from mlrpl.errors import UserError

COLUMNS = [
    *("dataset", "dataset_title", "method", "prop", "metric", "mean", "std"),
    *("source", "table", "section", "note"),
]
AVERAGE = "average"


def load_published(paths: Iterable[str | Path]) -> pd.DataFrame:
    """Return the rows of all files; `mean` and `std` are numbers, the rest is text.

    Raises:
        UserError: a file that cannot be read, a missing column, a `mean` or `std` that
            is not a number, or a `prop` that is neither a number nor `average`.
    """
    frames = [_read(path) for path in paths]
    return pd.concat(frames, ignore_index=True) if frames else empty()


def empty() -> pd.DataFrame:
    """Return a table of published numbers without a row."""
    return pd.DataFrame({name: [] for name in COLUMNS}).astype(
        {name: float if name in ("mean", "std") else str for name in COLUMNS}
    )


def lookup(
    published: pd.DataFrame, dataset: str, method: str, prop: str, metric: str
) -> tuple[float, float] | None:
    """Return the printed mean and standard deviation (nan: none) of one cell."""
    found = published[
        published["dataset"].isin([dataset, ""])
        & (published["method"] == method)
        & (published["prop"] == prop)
        & (published["metric"] == metric)
    ]
    if found.empty:
        return None
    first = found.iloc[0]
    return float(first["mean"]), float(first["std"])


def _read(path: str | Path) -> pd.DataFrame:
    try:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise UserError(f"{path}: {reason}; give a CSV of published numbers") from error
    missing = [name for name in COLUMNS if name not in frame]
    if missing:
        raise UserError(f"{path}: has no column {missing[0]}; see workflow/published")
    frame = frame[COLUMNS].copy()
    for name in ("mean", "std"):
        try:
            frame[name] = pd.to_numeric(frame[name].replace("", None))
        except ValueError as error:
            raise UserError(f"{path}: {name}: {error}; give plain numbers") from error
    for text in frame["prop"].unique():
        if text in (AVERAGE, ""):
            continue
        try:
            known = f"{float(text):g}" == text
        except ValueError:
            known = False
        if not known:
            raise UserError(
                f"{path}: prop: {text!r} is neither a number such as 0.1 nor {AVERAGE}"
            )
    return frame.astype({"mean": float, "std": float})
