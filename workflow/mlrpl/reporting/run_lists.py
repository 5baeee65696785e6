"""Runs on the terminal: all that there are, and two of them class by class."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mlrpl.config.made import made_runs
from mlrpl.errors import UserError

HEADS = ("data set", "method", "known", "seed", "mAP", "best", "")


def listed(config: Mapping[str, Any]) -> str:
    """Return a table of every run in the results, with the mAP of its last epoch.

    A run that was made with other options than the configuration has now is marked:
    Snakemake would make it again, and metrics.csv leaves it out.
    """
    rows = []
    for run in made_runs(config):
        dataset, method, prop, seed = run.name.split("/")
        content = _read(run.metrics)
        known = f"{100 * float(prop.removeprefix('prop=')):g} %"
        means = [_percent(content, epoch) for epoch in ("last", "best")]
        said = "" if run.current else "other options"
        rows.append((dataset, method, known, seed.removeprefix("seed="), *means, said))
    if not rows:
        return f"no run has metrics in {config['results']}/runs"
    return "\n".join(_aligned([HEADS, *rows], numbers=(2, 3, 4, 5)))


def compared(config: Mapping[str, Any], first: str, second: str) -> str:
    """Return the AP of each class in two runs, those that differ most first.

    Args:
        config: the checked configuration.
        first: a run's folder below the results' `runs`, or a path of it.
        second: another one on the same data set.

    Raises:
        UserError: a run that is not there, or two of different classes.
    """
    contents = [_read(_metrics_of(config, name)) for name in (first, second)]
    scores = [_class_ap(content) for content in contents]
    if set(scores[0]) != set(scores[1]):
        raise UserError(
            f"--compare: {first} and {second} have different classes; name two runs of "
            "one data set"
        )
    rows = []
    for name in scores[0]:
        a, b = (score[name] for score in scores)
        rows.append((name, a, b, b - a))
    rows.sort(key=lambda row: -abs(row[3]) if not math.isnan(row[3]) else 1)
    last = [float(content["last"]["mAP"]) for content in contents]
    rows = [("mAP", *last, last[1] - last[0]), *rows]
    cells = [(name, f"{a:.1f}", f"{b:.1f}", f"{d:+.1f}") for name, a, b, d in rows]
    cells = [tuple("-" if "nan" in cell else cell for cell in row) for row in cells]
    lines = _aligned([("AP, last epoch", "A", "B", "B - A"), *cells], (1, 2, 3))
    return "\n".join([f"A  {first}", f"B  {second}", "", *lines])


def _metrics_of(config: Mapping[str, Any], name: str) -> Path:
    root = Path(config["results"]) / "runs"
    path = Path(name.removesuffix("metrics.json"))
    for folder in (root / path, path):
        if (folder / "metrics.json").is_file():
            return folder / "metrics.json"
    raise UserError(
        f"--compare: {name}: there is no {root / path}/metrics.json; `mlrpl runs` "
        "lists what there is, as DATASET/METHOD/prop=P/seed=S"
    )


def _class_ap(content: Mapping[str, Any]) -> dict[str, float]:
    last = content["per_class_ap"]["last"]
    return {name: math.nan if ap is None else float(ap) for name, ap in last.items()}


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        float(content["last"]["mAP"]), float(content["best"]["mAP"])
        content["per_class_ap"]["last"].items()
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{path}: is no readable metrics.json ({error}); make it again with "
            f"`snakemake --force {path}`"
        ) from error
    return content


def _percent(content: Mapping[str, Any], epoch: str) -> str:
    return f"{float(content[epoch]['mAP']):.1f}"


def _aligned(rows: Sequence[Sequence[str]], numbers: Sequence[int]) -> list[str]:
    """Return rows as lines, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if place in numbers else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
