"""Tables of this project's results beside published ones.

A row is one method on one data set, out of the paper or out of this run. A cell of
this run is the mean over seeds with their sample standard deviation; what was not run
stays empty. An average over proportions is taken seed by seed, over the seeds that have
every proportion, and is empty where no seed has them all.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from mlrpl.errors import UserError
from mlrpl.evaluation.metrics import METRICS
from mlrpl.reporting import published as printed
from mlrpl.reporting.specs import percent, prop_key

PAPER, RUN = "paper", "this run"


@dataclass(frozen=True)
class Cell:
    """A mean and its standard deviation; nan: there is none."""

    mean: float
    std: float = np.nan


@dataclass(frozen=True)
class Column:
    """A column of numbers: its name in the CSV, its heading, what its numbers are."""

    key: str
    heading: str
    kind: str = "percent"  # or "parameters", "seconds"


@dataclass(frozen=True)
class Row:
    """One method on one data set; `cells` by the key of the column."""

    dataset: str
    dataset_title: str
    source: str  # PAPER or RUN
    reference: str  # where the paper prints it
    method: str
    title: str
    metric: str  # empty where columns are metrics
    epoch: str
    seeds: str
    cells: dict[str, Cell] = field(default_factory=dict)


@dataclass(frozen=True)
class Table:
    """A table before it is written in some format."""

    title: str
    columns: list[Column]
    rows: list[Row]
    notes: list[str]
    decimals: int


def build(spec: dict[str, Any], runs: pd.DataFrame, published: pd.DataFrame) -> Table:
    """Return the table that a spec describes.

    Args:
        spec: contents, as `specs.load_spec(..., "table")` returns them.
        runs: one row for each setting and epoch, as `results.load_metrics` returns
            them, with the spec's `columns`.
        published: printed numbers, as `published.load_published` returns them.

    Raises:
        UserError: an unknown metric, or a data set that has no published number.
    """
    for metric in spec["metrics"]:
        if metric not in METRICS:
            raise UserError(
                f"--spec: metrics: {metric} is unknown; "
                f"choose from {', '.join(METRICS)}"
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
    columns = _columns(spec, shown)

    rows: list[Row] = []
    for dataset in spec["datasets"]:
        rows += _paper_rows(spec, dataset, paper, published)
        rows += _run_rows(spec, dataset, runs, shown, averaged)
    notes = _notes(spec, rows, columns, averaged) + _differences(spec, paper)
    return Table(spec["title"], columns, rows, notes, spec["decimals"])


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


def _columns(spec: dict[str, Any], shown: list[str]) -> list[Column]:
    best = spec["epoch"] == "last" and spec["best_column"]
    if spec["layout"] == "proportions":
        columns = [Column(key, percent(key)) for key in shown]
        columns.append(Column("average", "Avg."))
        if best:
            columns.append(Column("average_best", "Avg., best epoch"))
    else:
        columns = [Column(metric, f"Avg. {metric}") for metric in spec["metrics"]]
        if best:
            columns += [
                Column(f"{metric}_best", f"Avg. {metric}, best epoch")
                for metric in spec["metrics"]
            ]
    headings = {"parameters": "Trainable parameters", "seconds": "Training time"}
    return columns + [Column(key, headings[key], key) for key in spec["columns"]]


def _paper_rows(
    spec: dict[str, Any],
    dataset: dict[str, Any],
    paper: pd.DataFrame,
    published: pd.DataFrame,
) -> list[Row]:
    rows = []
    name = dataset.get("published", "")
    here = paper[paper["dataset"] == name]
    metrics = spec["metrics"] if spec["layout"] == "proportions" else [""]
    for method in here["method"].unique():
        for metric in metrics:
            mine = here[here["method"] == method]
            if metric:
                mine = mine[mine["metric"] == metric]
            if mine.empty:
                continue
            key = "prop" if metric else "metric"
            cells = {
                str(column): Cell(mean, std)
                for column, mean, std in zip(
                    mine[key], mine["mean"], mine["std"], strict=True
                )
            }
            for extra in spec["columns"]:
                if found := printed.lookup(published, name, method, "", extra):
                    cells[extra] = Cell(found[0])
            title = dataset["title"]
            if not dataset["compare"]:
                title = f"{mine['dataset_title'].iloc[0]} ({PAPER})"
            reference = " ".join(mine[["source", "table"]].iloc[0])
            common = (name, title, PAPER, reference, method, method)
            rows.append(Row(*common, metric, epoch="", seeds="", cells=cells))
    return rows


def _run_rows(
    spec: dict[str, Any],
    dataset: dict[str, Any],
    runs: pd.DataFrame,
    shown: list[str],
    averaged: list[str],
) -> list[Row]:
    rows = []
    best = spec["epoch"] == "last" and spec["best_column"]
    for method in spec["methods"]:
        mine = runs[
            (runs["dataset"] == dataset["name"])
            & (runs["method"] == method["name"])
            & runs["key"].isin(shown)
        ]
        epochs = {epoch: mine[mine["epoch"] == epoch] for epoch in ("last", "best")}
        chosen = epochs[spec["epoch"]]
        extras = {
            extra: Cell(chosen[extra].mean())
            for extra in spec["columns"]
            if len(chosen)
        }
        title = method.get("title", method["name"])
        common = (dataset["name"], dataset["title"], RUN, "", method["name"], title)
        counts = chosen.groupby("key")["seed"].nunique()
        seeds = "-".join(map(str, sorted({counts.min(), counts.max()})))
        tail = {"epoch": spec["epoch"], "seeds": seeds if len(counts) else ""}
        if spec["layout"] == "proportions":
            for metric in spec["metrics"]:
                cells = {
                    key: over_seeds(group[metric])
                    for key, group in chosen.groupby("key")
                }
                cells["average"] = over_proportions(chosen, metric, averaged)
                if best:
                    cells["average_best"] = over_proportions(
                        epochs["best"], metric, averaged
                    )
                rows.append(Row(*common, metric, **tail, cells=cells | extras))
        else:
            cells = {
                metric: over_proportions(chosen, metric, averaged)
                for metric in spec["metrics"]
            }
            if best:
                cells |= {
                    f"{metric}_best": over_proportions(epochs["best"], metric, averaged)
                    for metric in spec["metrics"]
                }
            rows.append(Row(*common, "", **tail, cells=cells | extras))
    return rows


def over_seeds(values: pd.Series) -> Cell:
    """Return the mean and, of two seeds or more, the sample standard deviation."""
    return Cell(float(values.mean()), float(values.std(ddof=1)))


def over_proportions(runs: pd.DataFrame, metric: str, keys: list[str]) -> Cell:
    """Return the average over proportions: of each complete seed, then over seeds.

    Args:
        runs: one row for each `key` (a proportion) and `seed`, of one method and
            epoch.
        metric: the column to average.
        keys: the proportions that a seed must have to count.
    """
    grid = runs.pivot(index="seed", columns="key", values=metric)
    return over_seeds(grid.reindex(columns=keys).dropna().mean(axis=1))


def _notes(
    spec: dict[str, Any], rows: list[Row], columns: list[Column], averaged: list[str]
) -> list[str]:
    """Say what a reader needs to know to use the numbers."""
    ours = [row for row in rows if row.source == RUN]
    notes = []
    if any(not np.isnan(cell.std) for row in ours for cell in row.cells.values()):
        notes.append(
            "Mean ± sample standard deviation over the seeds, in percent; without ± a "
            "single seed."
        )
    else:
        notes.append("Values are percent; this run's are of a single seed.")
    numbers = ", ".join(percent(key).removesuffix(" %") for key in averaged)
    notes.append(f"Avg. is the mean over {numbers} % of known labels.")
    if spec["epoch"] == "best":
        notes.append("This run's rows are of the best epoch on the test set.")
    elif spec["best_column"]:
        notes.append(
            "This run's rows are of the last epoch, with the best epoch on the test "
            "set in columns of their own."
        )
    else:
        notes.append("This run's rows are of the last epoch.")
    for reference in dict.fromkeys(r.reference for r in rows if r.source == PAPER):
        notes.append(f"Rows of the paper are printed in {reference}.")
    for dataset in spec["datasets"]:
        theirs = [
            row.dataset_title
            for row in rows
            if row.source == PAPER and row.dataset == dataset.get("published")
        ]
        if theirs and not dataset["compare"]:
            notes.append(
                f"{dataset['title']} is not the data of {theirs[0]}: their numbers "
                "cannot be compared."
            )
    keys = [column.key for column in columns]
    if any(np.isnan(row.cells.get(k, Cell(np.nan)).mean) for row in ours for k in keys):
        notes.append("An empty cell was not run, or not at every proportion.")
    return notes


def _differences(spec: dict[str, Any], paper: pd.DataFrame) -> list[str]:
    """Say what sets printed rows apart from this run's, and whose rates these have."""
    notes = []
    noted = paper[paper["note"] != ""]
    for note, rows in noted.groupby("note", sort=False):
        names = ", ".join(rows["method"].unique())
        notes.append(f"Rows of the paper of {names}: {note}.")
    if notes:
        notes.append(
            "This run's rows are heads on the same frozen image features, with the "
            "same known labels for every method."
        )
    recipes: dict[str, list[str]] = {}
    for method in spec["methods"]:
        if "recipe" in method:
            title = method.get("title", method["name"])
            recipes.setdefault(method["recipe"], []).append(title)
    for recipe, titles in recipes.items():
        notes.append(
            f"Rates and epochs of this run's {', '.join(titles)}: recipe {recipe} of "
            "the configuration."
        )
    return notes
