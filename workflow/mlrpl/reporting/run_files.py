"""What a run says of itself and of its training: run.json and history.csv."""

import csv
import io
import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlrpl.errors import UserError

NAMES = ("dataset", "method", "prop", "seed")


@dataclass(frozen=True)
class History:
    """A training, epoch by epoch; `mean_ap` only where it was measured, in percent."""

    dataset: str
    method: str
    prop: float
    seed: int
    loss: list[tuple[int, float]] = field(default_factory=list)
    mean_ap: list[tuple[int, float]] = field(default_factory=list)


def read_run(path: str | Path) -> dict[str, Any]:
    """Return the content of a `run.json`.

    Raises:
        UserError: a file that cannot be read, or that is not a training's.
    """
    try:
        run = json.loads(_text(Path(path)))
        missing = [name for name in NAMES if name not in run]
    except (ValueError, TypeError) as error:
        raise UserError(f"{path}: is not valid JSON; train the run again") from error
    if not isinstance(run, dict) or missing:
        raise UserError(f"{path}: is not a training's; train the run again")
    return run


def read_history(path: str | Path) -> History:
    """Return a `history.csv` with what the `run.json` beside it says of the run.

    Raises:
        UserError: a file that cannot be read, or that has no epochs.
    """
    run = read_run(Path(path).with_name("run.json"))
    history = History(*(run[name] for name in NAMES))
    try:
        for row in csv.DictReader(io.StringIO(_text(Path(path)))):
            epoch = int(row["epoch"])
            for key, points in (("loss", history.loss), ("mAP", history.mean_ap)):
                if row[key] and math.isfinite(value := float(row[key])):
                    points.append((epoch, value))
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{path}: is not a training's history ({error}); train the run again"
        ) from error
    if not history.loss:
        raise UserError(f"{path}: has no epoch; train the run again")
    return history


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "is not text"
        raise UserError(f"{path}: {reason}; train the run first") from error
