"""Tables of this project's results beside published ones.

A row is one method on one data set, out of the paper or out of this run; where both
are of the same data, a row below this run's has the difference. What was not run stays
empty.
"""

from collections.abc import Iterable
from typing import Any

import pandas as pd

from mlrpl.errors import UserError
from mlrpl.evaluation.metrics import METRICS
from mlrpl.reporting import known_share
from mlrpl.reporting import published as printed
from mlrpl.reporting.results import CALIBRATION
from mlrpl.reporting.specs import listed, percent, prop_key
from mlrpl.reporting.table_intervals import Intervals
from mlrpl.reporting.table_model import Column, Row, Table
from mlrpl.reporting.table_notes import notes
from mlrpl.reporting.table_rows import paper_rows, run_rows, with_differences
from mlrpl.statistics.intervals import LEVEL
from mlrpl.statistics.resample_files import Resamples

# Columns out of run.json: heading and kind.
EXTRAS = {
    "parameters": ("Trainable parameters", "parameters"),
    "seconds": ("Training time", "seconds"),
    "memory": ("Peak memory", "bytes"),
}
COST = ["seconds", "memory"]  # what `cost` asks for


def extras(spec: dict[str, Any]) -> dict[str, bool]:
    """Return the columns out of run.json, and whether every run must have them."""
    asked = dict.fromkeys(spec["columns"], True)
    return {**dict.fromkeys(COST if spec["cost"] else [], False), **asked}


def build(
    spec: dict[str, Any],
    runs: pd.DataFrame,
    published: pd.DataFrame,
    resamples: Iterable[Resamples] = (),
) -> Table:
    """Return the table that a spec describes.

    Args:
        spec: contents, as `specs.load_spec(..., "table")` returns them.
        runs: one row for each setting and epoch, as `results.load_metrics` returns
            them, with the columns that `extras` names.
        published: printed numbers, as `published.load_published` returns them.
        resamples: of the runs, where the spec asks for intervals.

    Raises:
        UserError: an unknown metric, a data set that has no published number, or
            resamples that do not belong together.
    """
    known = [*METRICS, *(name for name in CALIBRATION if name in runs)]
    for metric in spec["metrics"]:
        if metric not in known:
            raise UserError(
                f"--spec: metrics: {metric} is unknown; choose from {', '.join(known)}"
            )
    paper = _printed_rows_of(spec, published)
    if "seeds" in spec:
        runs = runs[runs["seed"].isin(spec["seeds"])]
    runs = runs.assign(key=runs["prop"].map(prop_key))
    asked = {prop_key(prop) for prop in spec["proportions"]}
    theirs = set(paper["prop"]) - {printed.AVERAGE}
    if theirs and spec["published_proportions"]:
        averaged = sorted(theirs, key=float)
    else:
        averaged = sorted(asked, key=float)
        if theirs:
            fits = asked | ({printed.AVERAGE} if theirs == asked else set())
            paper = paper[paper["prop"].isin(fits)]
    shown = sorted(asked | set(averaged), key=float)
    added = [key for key, needed in extras(spec).items() if needed or _has(runs, key)]
    validated = "validated" in set(runs["epoch"])
    columns = _columns(spec, shown, added, validated)
    intervals = Intervals(spec, resamples)

    rows: list[Row] = []
    for dataset in spec["datasets"]:
        above = paper_rows(spec, dataset, paper, published, added)
        ours = run_rows(spec, dataset, runs, shown, averaged, added)
        ours = intervals.put_into(ours, columns, averaged)
        rows += above + with_differences(spec, dataset, above, ours, columns)
    said = notes(spec, rows, columns, averaged, paper) + intervals.notes(rows)
    said += known_share.table_notes(spec["datasets"], runs)
    named = shown if spec["layout"] == "proportions" else averaged
    title = _title(spec["title"], named, theirs)
    level = LEVEL if spec["interval"] else None
    return Table(title, columns, rows, said, spec["decimals"], level)


def _title(text: str, shown: list[str], theirs: set[str]) -> str:
    """Return a title that says which proportions are shown.

    `$proportions` in it stands for them. A title without says it where some of the
    paper's are left out.
    """
    if "$proportions" in text:
        return text.replace("$proportions", listed(shown))
    if theirs - set(shown):
        return f"{text}, at {listed(shown)} known labels"
    return text


def _printed_rows_of(spec: dict[str, Any], published: pd.DataFrame) -> pd.DataFrame:
    """Return the printed numbers that belong into the table."""
    wanted = [d["published"] for d in spec["datasets"] if "published" in d]
    rows = published[
        published["dataset"].isin(wanted) & published["metric"].isin(spec["metrics"])
    ]
    if spec["layout"] == "averages":
        rows = rows[rows["prop"] == printed.AVERAGE]
    if "published_methods" in spec:
        rows = rows[rows["method"].isin(spec["published_methods"])]
    for name in wanted:
        if len(published) and name not in set(rows["dataset"]):
            raise UserError(
                f"--spec: datasets: no published number of {name} fits the table; "
                "correct published, metrics or published_methods"
            )
    return rows


def _has(runs: pd.DataFrame, key: str) -> bool:
    """Return whether any run recorded a number that none needs to have."""
    return key in runs and bool(runs[key].notna().any())


def _columns(
    spec: dict[str, Any], shown: list[str], added: list[str], validated: bool
) -> list[Column]:
    best = spec["epoch"] != "best" and spec["best_column"]
    worth = best and validated
    if spec["layout"] == "proportions":
        columns = [Column(key, percent(key), over="Known labels") for key in shown]
        columns.append(Column("average", "Avg."))
        if best:
            columns.append(Column("average_best", "Avg., best epoch"))
        if worth:
            heading = "Avg., best minus validated epoch"
            columns.append(Column("average_worth", heading, "points"))
    else:
        columns = [Column(metric, f"Avg. {metric}") for metric in spec["metrics"]]
        if best:
            columns += [
                Column(f"{metric}_best", f"Avg. {metric}, best epoch")
                for metric in spec["metrics"]
            ]
        if worth:
            columns += [
                Column(
                    *(f"{metric}_worth", f"Avg. {metric}, best minus validated epoch"),
                    kind="points",
                )
                for metric in spec["metrics"]
            ]
    return columns + [Column(key, *EXTRAS[key]) for key in added]
