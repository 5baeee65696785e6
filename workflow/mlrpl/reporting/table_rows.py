"""The rows of a table: the paper's, this run's, and what is between the two.

A cell of this run is the mean over seeds with their sample standard deviation. An
average over proportions is taken seed by seed, over the seeds that have every
proportion, and is empty where no seed has them all.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from mlrpl.reporting import published as printed
from mlrpl.reporting.table_model import DIFFERENCE, PAPER, RUN, Cell, Column, Row

# Epochs of which a run keeps scores; the last one where it has a validation split.
KEPT = ("last", "best", "validated")


def paper_rows(
    spec: dict[str, Any],
    dataset: dict[str, Any],
    paper: pd.DataFrame,
    published: pd.DataFrame,
    extras: list[str],
) -> list[Row]:
    """Return what the paper prints for a data set, one row a method and metric.

    Args:
        spec: of the table.
        dataset: its entry in `spec`.
        paper: the printed numbers that belong into the table.
        published: all printed numbers, where those of `extras` are looked up.
        extras: keys of columns out of run.json.
    """
    rows = []
    name = dataset.get("published", "")
    here = paper[paper["dataset"] == name]
    titles = called(spec)
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
            for extra in extras:
                if found := printed.lookup(published, name, method, "", extra):
                    cells[extra] = Cell(found[0])
            title = dataset["title"]
            if not dataset["compare"]:
                title = f"{mine['dataset_title'].iloc[0]} ({PAPER})"
            reference = " ".join(mine[["source", "table"]].iloc[0])
            common = (name, title, PAPER, reference, method, titles.get(method, method))
            rows.append(Row(*common, metric, epoch="", seeds="", cells=cells))
    return rows


def run_rows(
    spec: dict[str, Any],
    dataset: dict[str, Any],
    runs: pd.DataFrame,
    shown: list[str],
    averaged: list[str],
    extras: list[str],
) -> list[Row]:
    """Return this run's rows for a data set, one a method and metric.

    Args:
        spec: of the table.
        dataset: its entry in `spec`.
        runs: one row for each setting and epoch, with `key`, the proportion as text.
        shown: proportions that are columns.
        averaged: proportions that an average is over.
        extras: keys of columns out of run.json, whose cell is the mean of the runs.
    """
    rows = []
    best = spec["epoch"] != "best" and spec["best_column"]
    for method in spec["methods"]:
        mine = runs[
            (runs["dataset"] == dataset["name"])
            & (runs["method"] == method["name"])
            & runs["key"].isin(shown)
        ]
        epochs = {epoch: mine[mine["epoch"] == epoch] for epoch in KEPT}
        chosen = epochs[spec["epoch"]]
        added = {key: Cell(chosen[key].mean()) for key in extras if len(chosen)}
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
                    cells |= _best_cells(epochs, metric, "average", averaged)
                rows.append(Row(*common, metric, **tail, cells=cells | added))
        else:
            cells = {
                metric: over_proportions(chosen, metric, averaged)
                for metric in spec["metrics"]
            }
            for metric in spec["metrics"] if best else []:
                cells |= _best_cells(epochs, metric, metric, averaged)
            rows.append(Row(*common, "", **tail, cells=cells | added))
    return rows


def _best_cells(
    epochs: dict[str, pd.DataFrame], metric: str, key: str, averaged: list[str]
) -> dict[str, Cell]:
    """Return the average at the best epoch, and what that choice is worth.

    It is the best epoch minus the one that held-out images choose, seed by seed.
    """
    best, validated = (epochs[epoch] for epoch in ("best", "validated"))
    cells = {f"{key}_best": over_proportions(best, metric, averaged)}
    if len(validated):
        names = ["seed", "key"]
        chosen = validated.set_index(names)[metric]
        worth = best.set_index(names)[metric].reindex(chosen.index) - chosen
        found = over_proportions(worth.reset_index(), metric, averaged)
        cells[f"{key}_worth"] = found
    return cells


def with_differences(
    spec: dict[str, Any],
    dataset: dict[str, Any],
    paper: list[Row],
    runs: list[Row],
    columns: list[Column],
) -> list[Row]:
    """Return this run's rows, each followed by its difference to the printed one.

    There is none where the printed numbers are of other data, or of other methods.
    """
    if not dataset["compare"]:
        return runs
    names = {m["name"]: m.get("published", []) for m in spec["methods"]}
    theirs = {(row.method, row.metric): row for row in paper}
    keys = [column.key for column in columns if column.kind == "percent"]
    rows = []
    for row in runs:
        rows.append(row)
        for name in names[row.method]:
            if found := theirs.get((name, row.metric)):
                cells = {
                    key: Cell(row.cell(key).mean - found.cell(key).mean) for key in keys
                }
                if not all(np.isnan(cell.mean) for cell in cells.values()):
                    reference = found.reference
                    kept = replace(row, source=DIFFERENCE, reference=reference)
                    rows.append(replace(kept, seeds="", cells=cells))
                break
    return rows


def called(spec: dict[str, Any]) -> dict[str, str]:
    """Return what printed methods are called here, by what the paper prints."""
    titles = dict(spec["published_titles"])
    for method in spec["methods"]:
        for name in method.get("published", []):
            titles.setdefault(name, method.get("title", method["name"]))
    return titles


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
