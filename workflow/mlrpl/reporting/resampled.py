"""The resamples of the runs that a table or a figure shows."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from mlrpl.errors import UserError
from mlrpl.statistics.grids import Grid, grids
from mlrpl.statistics.resample_files import Resamples
from mlrpl.statistics.weighted_metrics import RESAMPLED


def asked_for(
    spec: dict[str, Any], metrics: Sequence[str], resamples: Iterable[Resamples]
) -> dict[tuple[str, str], Grid]:
    """Return runs by data set and method; none where a spec asks for no intervals.

    Args:
        spec: of a table or figure.
        metrics: that it shows.
        resamples: of its runs; not read where they are not asked for.

    Raises:
        UserError: resamples that are missing, of other test images or epochs, or a
            metric that is not resampled.
    """
    if not spec["interval"]:
        return {}
    for name in metrics:
        if name not in RESAMPLED:
            raise UserError(
                f"--spec: interval: {name} is not resampled; take it out, or "
                f"choose from {', '.join(RESAMPLED)}"
            )
    found = grids(_wanted(resamples, spec["epoch"], spec.get("seeds")))
    if not found:
        raise UserError(
            "--spec: interval: there are no resamples; give --resamples, the files "
            "of `mlrpl resample`"
        )
    return found


def _wanted(
    resamples: Iterable[Resamples], epoch: str, seeds: Sequence[int] | None
) -> Iterator[Resamples]:
    for run in resamples:
        if run.epoch != epoch:
            raise UserError(
                f"--resamples: {run.epoch} epoch, but {epoch} is shown; make them with "
                f"`mlrpl resample --epoch {epoch}`"
            )
        if seeds is None or run.setting["seed"] in seeds:
            yield run
