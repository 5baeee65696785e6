"""The metrics of many settings as tidy tables: one row for each setting and epoch."""

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from mlrpl.errors import UserError
from mlrpl.evaluation.calibration import AT_THRESHOLDS, ECE
from mlrpl.evaluation.metrics import METRICS
from mlrpl.reporting.known_share import share
from mlrpl.runtime.storage import atomic_path

SETTING = ["dataset", "method", "prop", "seed"]
EPOCHS = ("last", "best")
VALIDATED = "validated"  # a third one, of runs with a validation split
COLUMNS = [*SETTING, "epoch", "epoch_number", *METRICS]
PERCENT = 100 + 1e-6  # the most that a metric is, but for rounding
CALIBRATION = [ECE, *AT_THRESHOLDS]  # further columns, where any run has them
# Columns out of run.json, and the entry of each that is meant; none: the largest.
EXTRAS = {"parameters": "total", "seconds": "train", "memory": None}


def load_metrics(
    paths: Iterable[str | Path], extras: Mapping[str, bool] | None = None
) -> pd.DataFrame:
    """Return one row for each setting and epoch, sorted.

    The epochs are `last` and `best`, and `validated` of a run with a validation split.

    Args:
        paths: `metrics.json` files, one for each setting.
        extras: columns to add from the `run.json` beside each file, and whether each
            must be there: `parameters`, the number of trainable parameters, `seconds`,
            the time of the training, `memory`, its peak in bytes, `known`, the share of
            all cells whose labels were known in training.

    Returns:
        The columns of `COLUMNS`, those of `CALIBRATION` that there are, then `extras`.
        `prop` is a number.

    Raises:
        UserError: a file that cannot be read, a missing key, or one setting twice.
    """
    rows = []
    for path, metrics in _read_all(paths):
        added = _from_run(Path(path).with_name("run.json"), extras or {})
        for epoch in _epochs(metrics):
            values = metrics[epoch] | metrics.get("calibration", {}).get(epoch, {})
            number = values.pop("epoch")
            setting = {key: metrics[key] for key in SETTING}
            rows.append(
                {**setting, "epoch": epoch, "epoch_number": number, **values, **added}
            )
    found = [name for name in CALIBRATION if any(name in row for row in rows)]
    frame = pd.DataFrame(rows, columns=[*COLUMNS, *found, *(extras or {})])
    frame["prop"] = frame["prop"].astype(float)
    return frame.sort_values([*SETTING, "epoch"], kind="stable", ignore_index=True)


def per_class(paths: Iterable[str | Path]) -> pd.DataFrame:
    """Return one row for each setting, epoch and class, in the order of the classes.

    The AP is the area under the precision envelope; empty where the test set has no
    positive of the class.

    Raises:
        UserError: as `load`.
    """
    rows = [
        {**{key: metrics[key] for key in SETTING}, "epoch": epoch, "class": name}
        | {"ap": ap}
        for _, metrics in _read_all(paths)
        for epoch in _epochs(metrics)
        for name, ap in metrics["per_class_ap"][epoch].items()
    ]
    frame = pd.DataFrame(rows, columns=[*SETTING, "epoch", "class", "ap"])
    frame = frame.astype({"prop": float, "ap": float})
    return frame.sort_values([*SETTING, "epoch"], kind="stable", ignore_index=True)


def _epochs(metrics: Mapping[str, Any]) -> list[str]:
    return [*EPOCHS, *([VALIDATED] if VALIDATED in metrics else [])]


def write_csv(frame: pd.DataFrame, path: str | Path) -> None:
    """Write a table whole or not at all, numbers as they are, absent ones empty."""
    with atomic_path(path) as temporary:
        frame.to_csv(temporary, index=False, lineterminator="\n")


def read_csv(path: str | Path) -> pd.DataFrame:
    """Return a table that `write_csv` wrote, names as text.

    Raises:
        UserError: a file that cannot be read, or that is no such table.
    """
    text = dict.fromkeys(("dataset", "method", "class", "seeds", "title"), str)
    try:
        return pd.read_csv(path, dtype=text, keep_default_na=False, na_values=[""])
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise UserError(f"{path}: {reason}; let the workflow make it again") from error


def _read_all(paths: Iterable[str | Path]) -> list[tuple[str | Path, dict[str, Any]]]:
    """Read every file, refusing a setting that comes twice."""
    seen: dict[tuple, str | Path] = {}
    files = []
    for path in paths:
        metrics = _read(path)
        key = tuple(metrics[name] for name in SETTING)
        if key in seen:
            raise UserError(
                f"{path}: is the same setting as {seen[key]}; give each setting once"
            )
        seen[key] = path
        files.append((path, metrics))
    return files


def _read(path: str | Path) -> dict[str, Any]:
    metrics = _read_json(path)
    missing = [key for key in (*SETTING, *EPOCHS, "per_class_ap") if key not in metrics]
    for key in (*_epochs(metrics), "per_class_ap", "calibration"):
        value = metrics.get(key, {})  # older files have no calibration
        if not missing and not isinstance(value, dict):
            raise UserError(
                f"{path}: its {key} is {_short(value)}, no mapping; make the file with "
                "mlrpl evaluate"
            )
    missing = missing or [
        f"{epoch}.{name}"
        for epoch in _epochs(metrics)
        for name in ("epoch", *METRICS)
        if name not in metrics[epoch]
    ]
    if missing:
        raise UserError(
            f"{path}: has no {missing[0]}; make the file with mlrpl evaluate"
        )
    if wrong := [text for text in _wrong(metrics) if text]:
        raise UserError(f"{path}: {wrong[0]}; make the file with mlrpl evaluate")
    return metrics


def _wrong(metrics: dict[str, Any]) -> Iterator[str | None]:
    """Yield what of a file's values is not what its key stands for."""
    for name in ("dataset", "method"):
        if not isinstance(metrics[name], str):
            yield f"its {name} is {_short(metrics[name])}, no text"
    yield _outside(metrics["prop"], "prop", 0, 1)
    yield _outside(metrics["seed"], "seed", 0, 2**32 - 1, whole=True)
    for epoch in _epochs(metrics):
        own = metrics[epoch]
        yield _outside(own["epoch"], f"{epoch}.epoch", 0, 2**53, whole=True)
        for name in METRICS:
            yield _outside(own[name], f"{epoch}.{name}", 0, PERCENT)
        classes = metrics["per_class_ap"].get(epoch)
        if not isinstance(classes, dict):
            yield f"its per_class_ap.{epoch} is {_short(classes)}, no mapping"
            continue
        for name, value in classes.items():
            if value is not None:
                yield _outside(value, f"per_class_ap.{epoch}.{name}", 0, PERCENT)
        calibrated = metrics.get("calibration", {}).get(epoch, {})
        if not isinstance(calibrated, dict):
            yield f"its calibration.{epoch} is {_short(calibrated)}, no mapping"
            continue
        for name, value in calibrated.items():
            yield _outside(value, f"calibration.{epoch}.{name}", 0, PERCENT)


def _outside(
    value: Any, key: str, least: float, most: float, whole: bool = False
) -> str | None:
    """Say of a value that it is no number of a range; None if it is one."""
    kinds = int if whole else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds):
        return f"its {key} is {_short(value)}, no {'whole ' * whole}number"
    if not least <= value <= most:
        return f"its {key} is {_short(value)}, not from {least:g} to {most:g}"
    return None


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _read_json(path: str | Path) -> dict[str, Any]:
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; run its setting first") from error
    except (ValueError, RecursionError) as error:
        raise UserError(
            f"{path}: is not valid JSON ({error}); make it again"
        ) from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: is not a JSON object; make it again")
    return content


def _from_run(path: Path, extras: Mapping[str, bool]) -> dict[str, float]:
    """Return numbers of a run.json; nan for one that need not be there."""
    if not extras or not (any(extras.values()) or path.exists()):
        return dict.fromkeys(extras, math.nan)
    run = _read_json(path)
    values = {}
    for name, needed in extras.items():
        value = run.get(name)
        if name == "known":
            value = share(value)
        if isinstance(value, dict):
            entries = [v for v in value.values() if isinstance(v, int | float)]
            entry = EXTRAS[name]
            value = value.get(entry) if entry else max(entries, default=None)
        if _outside(value, name, 0, 2**63):
            if needed:
                raise UserError(
                    f"{path}: has no number for {name}; train the setting again"
                )
            value = math.nan
        values[name] = value
    return values
