"""What stands below a table: what a reader needs to know to use its numbers."""

from typing import Any

import numpy as np
import pandas as pd

from mlrpl.reporting.specs import percent
from mlrpl.reporting.table_model import DIFFERENCE, PAPER, RUN, Column, Row
from mlrpl.reporting.table_rows import called


def notes(
    spec: dict[str, Any],
    rows: list[Row],
    columns: list[Column],
    averaged: list[str],
    paper: pd.DataFrame,
) -> list[str]:
    """Return the sentences below a table.

    Args:
        spec: of the table.
        rows: all of its rows.
        columns: all of its columns.
        averaged: proportions that an average is over.
        paper: the printed numbers that belong into the table.
    """
    return [
        *_values(spec, rows, columns, averaged),
        *_origins(spec, rows),
        *_empty(rows, columns, spec["cost"]),
        *_differences(spec, paper),
    ]


def _values(
    spec: dict[str, Any], rows: list[Row], columns: list[Column], averaged: list[str]
) -> list[str]:
    """Say what a number is: of which seeds, proportions and epoch."""
    ours = [row for row in rows if row.source == RUN]
    said = []
    if any(not np.isnan(cell.std) for row in ours for cell in row.cells.values()):
        said.append(
            "Mean ± sample standard deviation over the seeds, in percent; without ± a "
            "single seed."
        )
    else:
        said.append("Values are percent; this run's are of a single seed.")
    numbers = ", ".join(percent(key).removesuffix(" %") for key in averaged)
    said.append(f"Avg. is the mean over {numbers} % of known labels.")
    if spec["epoch"] == "best":
        said.append("This run's rows are of the best epoch on the test set.")
    else:
        which = "last epoch"
        if spec["epoch"] == "validated":
            which = "epoch with the best mAP on held-out training images"
        best = ", with the best epoch on the test set in columns of their own"
        added = best if spec["best_column"] else ""
        said.append(f"This run's rows are of the {which}{added}.")
    if any(column.kind == "points" for column in columns):
        said.append(
            "The best epoch minus the one that held-out training images choose is what "
            "the choice on the test set is worth; it is used for nothing."
        )
    if any(row.source == DIFFERENCE for row in rows):
        said.append("Differences are this run's mean minus the paper's number.")
    return said


def _origins(spec: dict[str, Any], rows: list[Row]) -> list[str]:
    """Say where the paper prints its rows, under which names, and on which data."""
    said = []
    for reference in dict.fromkeys(r.reference for r in rows if r.source == PAPER):
        said.append(f"Rows of the paper are printed in {reference}.")
    names = {row.method: row.title for row in rows if row.source == PAPER}
    for name, title in names.items():
        if title != name and called(spec).get(name) == title:
            said.append(f"The paper prints {title} as {name}.")
    for dataset in spec["datasets"]:
        theirs = [
            row.dataset_title
            for row in rows
            if row.source == PAPER and row.dataset == dataset.get("published")
        ]
        if theirs and not dataset["compare"]:
            said.append(
                f"{dataset['title']} is not the data of {theirs[0]}: their numbers "
                "cannot be compared."
            )
    return said


def _empty(rows: list[Row], columns: list[Column], cost: bool) -> list[str]:
    """Say what an empty cell means, and what cost no run has recorded."""
    ours = [row for row in rows if row.source == RUN]
    said = []
    keys = [c.key for c in columns if c.kind == "percent" or c.key == "parameters"]
    if any(np.isnan(row.cell(key).mean) for row in ours for key in keys):
        said.append("An empty cell was not run, or not at every proportion.")
    costs = [c.key for c in columns if c.kind in ("seconds", "bytes")]
    if costs:
        said.append("Training time and memory are means over the runs of a row.")
    if any(np.isnan(row.cell(key).mean) for row in ours for key in costs):
        said.append("Time or memory that runs did not record is empty.")
    if cost and ours:
        kinds = {column.kind for column in columns}
        for kind, name in (("seconds", "time"), ("bytes", "peak memory")):
            if kind not in kinds:
                said.append(f"These runs did not record their {name}.")
    return said


def _differences(spec: dict[str, Any], paper: pd.DataFrame) -> list[str]:
    """Say what sets printed rows apart from this run's, and whose rates these have."""
    said = []
    noted = paper[paper["note"] != ""]
    titles = called(spec)
    for note, rows in noted.groupby("note", sort=False):
        names = ", ".join(titles.get(name, name) for name in rows["method"].unique())
        said.append(f"Rows of the paper of {names}: {note}.")
    if said:
        said.append(
            "This run's rows are heads on the same frozen image features, with the "
            "same known labels for every method."
        )
    recipes: dict[str, list[str]] = {}
    for method in spec["methods"]:
        if "recipe" in method:
            title = method.get("title", method["name"])
            recipes.setdefault(method["recipe"], []).append(title)
    for recipe, named in recipes.items():
        said.append(
            f"Rates and epochs of this run's {', '.join(named)}: recipe {recipe} of "
            "the configuration."
        )
    return said
