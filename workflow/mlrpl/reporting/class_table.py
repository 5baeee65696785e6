"""The AP of each class, one column a method, as a table for a reader."""

from collections.abc import Mapping

import pandas as pd

from mlrpl.reporting.specs import listed
from mlrpl.reporting.table_grid import Grid, Group, Head, Line, Text

TITLE = "AP of each class, in percent"


def build(
    per_class: pd.DataFrame, methods: Mapping[str, str], datasets: Mapping[str, str]
) -> Grid:
    """Return a table with a group for each data set and a line for each class.

    A number is the mean over the proportions and seeds that all methods have on the
    data set, so that the columns compare; after the last epoch.

    Args:
        per_class: as `results.per_class` returns it.
        methods: title by name of the methods to show, in this order; one that was not
            run on any data set is left out.
        datasets: title by name, likewise.
    """
    last = per_class[per_class["epoch"] == "last"]
    last = last[last["dataset"].isin(datasets) & last["method"].isin(methods)]
    shown = [name for name in methods if name in set(last["method"])]
    groups, notes = [], []
    for name, title in datasets.items():
        mine = last[last["dataset"] == name]
        if mine.empty:
            continue
        mine = _common(mine)
        pivot = mine.pivot_table(
            index="class", columns="method", values="ap", sort=False, observed=True
        ).reindex(columns=shown, index=mine["class"].unique())
        groups.append(Group(title, [_line(row) for row in pivot.itertuples()], [title]))
        props, seeds = sorted(mine["prop"].unique()), mine["seed"].nunique()
        notes.append(
            f"{title}: mean over {listed(props)} known labels and {seeds} "
            f"seed{'s' * (seeds != 1)}, after the last epoch."
        )
    heads = [Head("Class"), *(Head(methods[name], number=True) for name in shown)]
    if len(shown) > 1:
        notes.append("Bold: the best of a class.")
    notes.append("A class without a positive in the test set has no number.")
    return Grid(TITLE, heads, groups, notes, ["Data set"])


def _common(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the proportions and seeds that every method has; all where none is."""
    pairs = runs.groupby("method")[["prop", "seed"]].apply(
        lambda rows: set(zip(rows["prop"], rows["seed"], strict=True))
    )
    common = set.intersection(*pairs)
    if not common:
        return runs
    pair = pd.Series(list(zip(runs["prop"], runs["seed"], strict=True)), runs.index)
    return runs[pair.isin(common)]


def _line(row: tuple) -> Line:
    name, *values = row
    texts = ["" if pd.isna(value) else f"{value:.1f}" for value in values]
    numbers = [float(text) for text in texts if text]
    best = f"{max(numbers):.1f}" if len(numbers) > 1 else None
    return Line([Text(str(name)), *(Text(text, bold=text == best) for text in texts)])
