"""How results were made: which code, on which devices, with what, in how many hours."""

import subprocess
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mlrpl.reporting.run_files import read_run

PROJECT = Path(__file__).resolve().parents[3]


def facts(runs: Sequence[str | Path]) -> dict[str, str]:
    """Return what the `run.json` files of runs say together, by heading.

    Hours are the sum of the seconds that each run took to load and to train. What a
    run does not say is left out.

    Raises:
        UserError: as `run_files.read_run`.
    """
    read = [read_run(path) for path in runs]
    versions = [run.get("versions") for run in read]
    together = {
        "Page made by": commit(),
        "Trainings": f"{len(read):,}",
        "Hours of training": _hours(read),
        "Device": _counted([run.get("device") for run in read]),
        "Precision": _counted([run.get("precision") for run in read]),
        "Threads": _counted([run.get("threads") for run in read]),
        "Encoder": _counted([run.get("encoder") for run in read]),
        "Versions": _counted([_versions(entry) for entry in versions]),
    }
    return {name: text for name, text in together.items() if text}


def commit(folder: Path = PROJECT) -> str:
    """Return the commit that a folder has checked out, and whether files differ."""
    command = [
        "git",
        "-C",
        str(folder),
        "describe",
        "--always",
        "--dirty",
        "--abbrev=12",
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return "an unknown commit: git cannot be asked"
    found = done.stdout.strip()
    if done.returncode or not found:
        return "an unknown commit: the project is no git checkout"
    if found.endswith("-dirty"):
        return f"commit {found.removesuffix('-dirty')} with uncommitted changes"
    return f"commit {found}"


def _hours(runs: Sequence[dict[str, Any]]) -> str:
    """Return the sum of all seconds, in hours; how many runs have none is said."""
    totals = [_seconds(run) for run in runs]
    known = [total for total in totals if total is not None]
    if not known:
        return ""
    text = f"{sum(known) / 3600:.3g}"
    missing = len(totals) - len(known)
    return f"{text}, without {missing} that did not record them" if missing else text


def _seconds(run: dict[str, Any]) -> float | None:
    seconds = run.get("seconds")
    if not isinstance(seconds, dict):
        return None
    parts = [value for value in seconds.values() if isinstance(value, int | float)]
    return float(sum(parts)) if parts else None


def _versions(entry: Any) -> str | None:
    if not isinstance(entry, dict):
        return None
    return ", ".join(f"{name} {version}" for name, version in sorted(entry.items()))


def _counted(values: Sequence[Any]) -> str:
    """Return what occurs, and how often if that differs: cpu, or cpu (3); cuda (9)."""
    counts = Counter(str(value) for value in values if value is not None)
    if len(counts) == 1:
        return next(iter(counts))
    return "; ".join(f"{text} ({count})" for text, count in counts.most_common())
