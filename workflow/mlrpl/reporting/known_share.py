"""What is known of all cells, where a data set's labels are partial from the start.

A proportion is of the labels that a data set has. Where some of its cells are unknown,
fewer than that are known of all, and a table or figure says how many.
"""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from mlrpl.reporting.specs import percent

# A drawn mask keeps a share that is near the proportion, also where a few labels are
# ignored: no more than this apart nothing is said.
TOLERANCE = 0.02


def known_shares(runs: pd.DataFrame, dataset: str) -> dict[float, float]:
    """Return the share of all cells that is known, by proportion.

    Args:
        runs: one row for each setting and epoch, with the column `known` of
            `results.load_metrics`.
        dataset: its name.

    Returns:
        The mean over runs; nothing where the labels are whole but for what was dropped.
    """
    if "known" not in runs:
        return {}
    mine = runs[(runs["dataset"] == dataset) & runs["known"].notna()]
    means = mine.groupby("prop")["known"].mean()
    shares = {float(prop): float(share) for prop, share in means.items()}
    told = any(abs(share - prop) > TOLERANCE for prop, share in shares.items())
    return shares if told else {}


def table_notes(datasets: Iterable[Mapping[str, str]], runs: pd.DataFrame) -> list[str]:
    """Return a sentence for each data set whose labels are partial from the start."""
    said = []
    for dataset in datasets:
        if shares := known_shares(runs, dataset["name"]):
            parts = [f"{_whole(s)} at {percent(p)}" for p, s in sorted(shares.items())]
            said.append(
                f"{dataset['title']}: of all cells {', '.join(parts)} are known, since "
                "proportions are of the labels that it has, or that its masks choose "
                "from."
            )
    return said


def panel_note(dataset: Mapping[str, str], runs: pd.DataFrame) -> str:
    """Return what a figure's panel says of such a data set; empty for any other."""
    shares = known_shares(runs, dataset["name"])
    if not shares:
        return ""
    (low, first), (high, last) = min(shares.items()), max(shares.items())
    if low == high:
        return f"known of all cells: {_whole(first)} at {percent(low)}"
    return (
        f"known of all cells: {_whole(first)} at {percent(low)} to {_whole(last)} at "
        f"{percent(high)}"
    )


def share(counts: object) -> float:
    """Return the known share of run.json's counts of labels; nan without such."""
    try:
        known = counts["positive"] + counts["negative"]  # type: ignore[index]
        return known / (known + counts["unknown"])  # type: ignore[index]
    except (TypeError, KeyError, ZeroDivisionError):
        return np.nan


def _whole(value: float) -> str:
    return f"{100 * value:.0f} %"
