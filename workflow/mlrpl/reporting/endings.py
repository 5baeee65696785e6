"""What the terminal says last: the numbers and where they lie, or what failed and why.

Plain files in and text out, without pandas: Snakemake's own process prints it.
"""

import json
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from mlrpl.config import names

# Below the folder of results, in the order in which they are named.
PLACES = (
    ("Tables", "tables", ("table*.md", "metrics.csv")),
    ("Figures", "figures", ("*.png",)),
    ("Ablations", "ablations", ("*.md", "*.png")),
    ("Report", ".", ("report.html",)),
)


def success(config: Mapping[str, Any], runs: Iterable[str]) -> str:
    """Return a table of mAP, method by data set, and where the files lie.

    Args:
        config: the checked configuration.
        runs: the runs that tables and figures name, as `plan.runs` has them.

    Returns:
        Lines of plain text. A number is the mean over seeds and over those proportions
        at which every method of the table has run on its data set; empty without runs
        of the configured methods.
    """
    root = Path(config["results"])
    found: dict[str, dict[str, dict[str, list[float]]]] = {}
    for run in runs:
        dataset, method, prop, _ = run.split("/")
        value = _last_map(root / "runs" / run / "metrics.json")
        if method in config["methods"] and value is not None:
            by_prop = found.setdefault(dataset, {}).setdefault(method, {})
            by_prop.setdefault(prop.removeprefix("prop="), []).append(value)
    lines = _table(config, found)
    for title, folder, patterns in PLACES:
        names = [
            path.name
            for pattern in patterns
            for path in sorted((root / folder).glob(pattern))
        ]
        if names:
            place = root / folder if folder != "." else root
            lines.append(f"{title:10} {place}/  {', '.join(names)}")
    return "\n".join(lines)


def failure(
    rule: str, wildcards: Mapping[str, str], logs: Collection[str], more: int = 0
) -> str:
    """Return what failed: the rule, its wildcards, its log and the error's own line.

    Args:
        rule: its name.
        wildcards: by name.
        logs: the paths of the job's logs.
        more: other jobs that failed, too.
    """
    which = ", ".join(f"{name}={value}" for name, value in wildcards.items())
    lines = [f"Failed: rule {rule}" + (f" ({which})" if which else "")]
    for log in logs:
        lines.append(f"  log: {log}")
        if said := error_line(log):
            lines.append(f"  {said}")
    if more:
        lines.append(f"  and {more} more, above")
    return "\n".join(lines)


def error_line(log: str) -> str:
    """Return the line of a log that says what is wrong; its last one without such."""
    try:
        text = Path(log).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("mlrpl ") and "error: " in line]
    return (errors or lines or [""])[-1]


def _last_map(path: Path) -> float | None:
    try:
        return float(json.loads(path.read_text(encoding="utf-8"))["last"]["mAP"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _table(
    config: Mapping[str, Any], found: Mapping[str, Mapping[str, Mapping[str, list]]]
) -> list[str]:
    """Return the table's lines; none if there is no number."""
    methods = [m for m in config["methods"] if any(m in by for by in found.values())]
    if not methods:
        return []
    columns, notes = [], []
    for dataset, by_method in found.items():
        shared = set.intersection(*(set(by) for by in by_method.values()))
        cells = [_mean(by_method.get(m, {}), shared) for m in methods]
        title = config["datasets"][dataset]["title"]
        columns.append([title, *cells])
        notes.append(f"{title}: {_percents(shared)}" if shared else f"{title}: none")
    first = ["mAP (%)", *(names.title(config, m) for m in methods)]
    widths = [max(map(len, column)) for column in (first, *columns)]
    lines = [
        "  ".join(
            [row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]
        ).rstrip()
        for row in zip(first, *columns, strict=True)
    ]
    known = "; ".join(notes)
    return ["", *lines, f"Mean over the known labels that all share ({known}).", ""]


def _mean(by_prop: Mapping[str, list[float]], shared: Collection[str]) -> str:
    if not shared or not by_prop:
        return "-"
    means = [sum(by_prop[p]) / len(by_prop[p]) for p in shared]
    return f"{sum(means) / len(means):.1f}"


def _percents(props: Iterable[str]) -> str:
    numbers = [f"{100 * p:g}" for p in sorted(map(float, props))]
    return f"{', '.join(numbers)} %"
