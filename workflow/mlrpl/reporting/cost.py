"""What the runs took, added up: hours, memory and energy."""

import csv
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any

from mlrpl.errors import UserError
from mlrpl.runtime.storage import atomic_path

TOTAL = "all"
JOULES = 3.6e6  # of a kWh


@dataclass(frozen=True)
class Cost:
    """What some runs took; nan where none of them says.

    Attributes:
        dataset: name of the data set, or `all`.
        method: name of the method, or `all`.
        runs: how many there are.
        hours: of loading, training and tests, all together.
        host_gb: the most memory that one of them had, 10^9 bytes.
        device_gb: the same of a GPU's.
        kwh: that GPUs took.
        metered: of how many runs the energy is known.
        devices: what they ran on.
    """

    dataset: str
    method: str
    runs: int
    hours: float
    host_gb: float
    device_gb: float
    kwh: float
    metered: int
    devices: str


def add_up(paths: Iterable[str | Path]) -> list[Cost]:
    """Return a line for each data set and method, and one for all of them.

    Args:
        paths: `run.json` files.

    Raises:
        UserError: a file that cannot be read, or none.
    """
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for path in paths:
        run = _read(Path(path))
        groups.setdefault((run["dataset"], run["method"]), []).append(run)
    if not groups:
        raise UserError("RUN_JSON: there are none; give the run.json of some runs")
    lines = [_cost(*names, runs) for names, runs in groups.items()]
    every = [run for runs in groups.values() for run in runs]
    return [*lines, _cost(TOTAL, TOTAL, every)]


def write(costs: Sequence[Cost], prefix: str | Path) -> str:
    """Write PREFIX.csv and PREFIX.md; return the Markdown."""
    with atomic_path(f"{prefix}.csv") as path, path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(field.name for field in fields(Cost))
        for cost in costs:
            values = astuple(cost)
            writer.writerow("" if _nan(value) else value for value in values)
    text = markdown(costs)
    with atomic_path(f"{prefix}.md") as path:
        path.write_text(text, encoding="utf-8")
    return text


def markdown(costs: Sequence[Cost]) -> str:
    """Return the table, and what its numbers leave out."""
    lines = [
        "| data set | method | runs | hours | host memory | GPU memory | energy |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    for c in costs:
        cells = [c.dataset, c.method, str(c.runs), f"{c.hours:.2f}"]
        cells += [_shown(c.host_gb, ".2f", "GB"), _shown(c.device_gb, ".2f", "GB")]
        lines.append(f"| {' | '.join([*cells, _shown(c.kwh, '.3f', 'kWh')])} |")
    total = costs[-1]
    said = [
        "Hours are those of the jobs that trained, added up; of a training that went "
        "on after a break, since then. Memory is the most that one of them had.",
        f"On {total.devices}.",
    ]
    if total.metered < total.runs:
        said.append(
            f"The energy of {total.metered} of {total.runs} runs is known: a GPU "
            "counts it, a CPU does not."
        )
    if total.metered:
        said.append(
            "A GPU counts what all of its jobs take: of trainings side by side each "
            "has the energy of all of them."
        )
    return "\n".join([*lines, "", " ".join(said), ""])


def _cost(dataset: str, method: str, runs: Sequence[dict[str, Any]]) -> Cost:
    host, device, energy = (
        [value for run in runs if (value := _number(run, *keys)) is not None]
        for keys in (("memory", "host"), ("memory", "device"), ("energy", "gpu"))
    )
    return Cost(
        dataset=dataset,
        method=method,
        runs=len(runs),
        hours=sum(sum(run["seconds"].values()) for run in runs) / 3600,
        host_gb=max(host, default=math.nan) / 1e9,
        device_gb=max(device, default=math.nan) / 1e9,
        kwh=sum(energy) / JOULES if energy else math.nan,
        metered=len(energy),
        devices=", ".join(sorted({str(run.get("device")) for run in runs})),
    )


def _number(run: dict[str, Any], key: str, part: str) -> float | None:
    """Return a number of a run.json; None if it has none, as those of older runs."""
    value = run.get(key)
    value = value.get(part) if isinstance(value, dict) else None
    known = isinstance(value, int | float) and not isinstance(value, bool)
    return value if known else None


def _read(path: Path) -> dict[str, Any]:
    try:
        run = json.loads(path.read_text(encoding="utf-8"))
        _, _, seconds = run["dataset"], run["method"], run["seconds"]
        sum(seconds.values())
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UserError(
            f"{path}: is not a training's ({reason}); train the run again"
        ) from error
    return run


def _nan(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _shown(value: float, form: str, unit: str) -> str:
    return "" if math.isnan(value) else f"{value:{form}} {unit}"
