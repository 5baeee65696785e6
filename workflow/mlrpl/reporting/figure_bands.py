"""Intervals of a figure's points, out of its runs' resamples."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from mlrpl.reporting.resampled import asked_for
from mlrpl.reporting.specs import prop_key
from mlrpl.statistics.grids import interval, metric
from mlrpl.statistics.resample_files import Resamples

Points = Sequence[tuple[str, str]]


class Bands:
    """The intervals that a figure's spec asks for; none by default."""

    def __init__(self, spec: dict[str, Any], resamples: Iterable[Resamples]):
        """Sort the runs; arguments and errors as `resampled.asked_for`."""
        self._statistic = metric(spec["metric"])
        self._runs = asked_for(spec, [spec["metric"]], resamples)

    def around(self, dataset: str, points: Points) -> dict[str, np.ndarray | None]:
        """Return `low` and `high` of points, as `Series` takes them.

        Args:
            dataset: name of the data set.
            points: method and proportion of each.
        """
        if not self._runs:
            return {"low": None, "high": None}
        ends = [self._ends(dataset, method, key) for method, key in points]
        low, high = (np.array(values) for values in zip(*ends, strict=True))
        return {"low": low, "high": high}

    def _ends(self, dataset: str, method: str, key: str) -> tuple[float, float]:
        grid = self._runs.get((dataset, method), {})
        for prop in grid:
            if prop_key(prop) == key and (
                found := interval(grid, self._statistic, [prop])
            ):
                return found.low, found.high
        return np.nan, np.nan
