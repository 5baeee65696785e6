"""The table of how well attention finds the objects, beside chance."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mlrpl.errors import UserError
from mlrpl.evaluation.localisation import MEASURES
from mlrpl.reporting.specs import percent, prop_key
from mlrpl.reporting.table_model import RUN, Cell, Column, Row, Table

METRICS = {
    "pointing": "Peak in a box",
    "centre": "Its middle in a box",
    "inside": "Attention in boxes",
}
NOTES = [
    "In percent of the positive labels whose class has a box in the image.",
    "Peak in a box: the cell of the map's grid with the most attention overlaps a box "
    "of the class; its middle in a box: without that tolerance.",
    "Attention in boxes: the share of a label's attention inside its boxes.",
    "Chance: a cell drawn at random, and the share of the picture that boxes cover.",
]


def load_localisation(paths: Iterable[str | Path]) -> list[dict[str, Any]]:
    """Read `localisation.json` files.

    Raises:
        UserError: a file that cannot be read, or is something else.
    """
    found = []
    for path in paths:
        try:
            content = json.loads(Path(path).read_text(encoding="utf-8"))
            for key in ("dataset", "method", "prop", "seed", "attention", "chance"):
                content[key]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{path}: is not what `mlrpl localise` writes ({error}); make it again"
            ) from error
        found.append(content)
    return found


def build(spec: Mapping[str, Any], runs: Sequence[Mapping[str, Any]]) -> Table:
    """Return the table that a spec describes.

    Args:
        spec: contents, as `specs.load_spec(..., "table")` returns them.
        runs: what `load_localisation` returned.
    """
    props = sorted(map(float, spec["proportions"]))
    columns = [Column(prop_key(p), percent(p), over="Known labels") for p in props]
    rows = []
    for dataset in spec["datasets"]:
        here = [run for run in runs if run["dataset"] == dataset["name"]]
        seeds = {run["seed"] for run in here}
        where = (dataset["name"], dataset["title"], RUN, "")
        for measure in MEASURES:
            said = (METRICS[measure], "last", str(len(seeds)) if seeds else "")
            for method in spec["methods"]:
                own = [run for run in here if run["method"] == method["name"]]
                named = (method["name"], method.get("title", method["name"]))
                cells = _cells(own, "attention", measure, props)
                rows.append(Row(*where, *named, *said, cells))
            chance = _cells(here, "chance", measure, props)
            cells = {key: Cell(cell.mean) for key, cell in chance.items()}
            rows.append(Row(*where, "chance", "Chance", *said, cells))
    return Table(spec["title"], columns, rows, NOTES, spec["decimals"])


def _cells(
    runs: Sequence[Mapping[str, Any]], kind: str, measure: str, props: Sequence[float]
) -> dict[str, Cell]:
    """Return mean and standard deviation over seeds, by the key of the column."""
    cells = {}
    for prop in props:
        at = [run[kind][measure] for run in runs if float(run["prop"]) == prop]
        values = np.array([value for value in at if value is not None], float)
        if len(values):
            std = values.std(ddof=1) if len(values) > 1 else np.nan
            cells[prop_key(prop)] = Cell(float(values.mean()), float(std))
    return cells
