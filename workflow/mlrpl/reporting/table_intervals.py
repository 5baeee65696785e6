"""Intervals of a table's numbers, out of its runs' resamples."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from mlrpl.reporting.resampled import asked_for
from mlrpl.reporting.specs import prop_key
from mlrpl.reporting.table_model import RUN, Cell, Column, Row
from mlrpl.statistics.grids import Grid, interval, metric
from mlrpl.statistics.intervals import BCA, ENOUGH_SEEDS, LEVEL, PERCENTILE
from mlrpl.statistics.resample_files import Resamples
from mlrpl.statistics.weighted_metrics import RESAMPLED


class Intervals:
    """The intervals that a table's spec asks for; none by default."""

    def __init__(self, spec: dict[str, Any], resamples: Iterable[Resamples]):
        """Sort the runs; arguments and errors as `resampled.asked_for`."""
        self._runs = asked_for(spec, spec["metrics"], resamples)

    def put_into(
        self, rows: Sequence[Row], columns: Sequence[Column], averaged: Sequence[str]
    ) -> list[Row]:
        """Return rows whose cells have intervals where there are resamples.

        Args:
            rows: of this run.
            columns: of the table; of the best epoch there are no intervals.
            averaged: proportions that an average is over.
        """
        result = []
        for row in rows:
            grid = self._runs.get((row.dataset, row.method), {})
            props = {prop_key(prop): prop for prop in grid}
            cells = dict(row.cells)
            for column in columns:
                name = row.metric or column.key
                keys = [column.key] if column.key in props else averaged
                average = column.key == ("average" if row.metric else name)
                known = column.key in props or average
                if not known or name not in RESAMPLED or not set(keys) <= set(props):
                    continue
                cells[column.key] = _cell(
                    row.cell(column.key), grid, name, [props[key] for key in keys]
                )
            result.append(replace(row, cells=cells))
        return result

    def notes(self, rows: Iterable[Row]) -> list[str]:
        """Say what the intervals are, and what they cannot say."""
        ours = [row for row in rows if row.source == RUN]
        kinds = {cell.kind for row in ours for cell in row.cells.values() if cell.kind}
        if not kinds:
            return []
        said = [
            f"Intervals of {100 * LEVEL:g} %: test images and seeds were resampled "
            "together, all proportions of a seed at once."
        ]
        if kinds == {BCA}:
            said.append("They are BCa.")
        elif kinds == {PERCENTILE}:
            said.append("They are of the percentiles.")
        else:
            said.append("They are BCa, or of the percentiles where BCa does not hold.")
        counts = {len(seeds) for grid in self._runs.values() for seeds in grid.values()}
        if min(counts) == 1:
            said.append("Of a single seed they are of the test images alone.")
        if min(counts) < ENOUGH_SEEDS:
            said.append(
                "Whether two rows differ cannot be read from whether their intervals "
                f"meet (`mlrpl compare`), and with fewer than {ENOUGH_SEEDS} seeds no "
                "test over seeds can reach p = 0.05."
            )
        return said


def _cell(cell: Cell, grid: Grid, name: str, props: list[float]) -> Cell:
    found = interval(grid, metric(name), props)
    if found is None or math.isnan(found.low):
        return cell
    return replace(cell, low=found.low, high=found.high, kind=found.kind)
