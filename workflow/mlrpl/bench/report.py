"""The table of a benchmark, as Markdown and JSON."""

import json
import math
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from mlrpl.runtime.device import device_name, precision_on
from mlrpl.runtime.storage import atomic_path

PACKAGES = ("torch", "numpy", "open_clip_torch", "h5py", "pillow")


@dataclass(frozen=True)
class Row:
    """One number: what was measured, its value and unit, and how to read it."""

    name: str
    value: float
    unit: str
    note: str = ""


def environment(device: torch.device, threads: int, precision: str) -> dict[str, Any]:
    """Return the device, number types, versions and the load that was there before.

    Args:
        device: where everything runs.
        threads: of torch.
        precision: the option of the trainings.
    """
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "unknown"
    cuda = device.type == "cuda"
    return {
        "device": device_name(device),
        "processor": _processor(),
        "threads": threads,
        "cores": os.cpu_count(),
        "dtype": {
            "encoder": "fp16 autocast" if cuda else "fp32",
            "features": "fp16",
            "training": precision_on(device, precision),
        },
        "cuda": torch.version.cuda if cuda else None,
        "versions": versions,
        "load_average_before": os.getloadavg()[0],
    }


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def markdown(
    found: Mapping[str, Any], results: Mapping[str, Sequence[Row]], titles: Mapping
) -> str:
    """Return the environment and one table a part."""
    versions = ", ".join(f"{k} {v}" for k, v in found["versions"].items())
    types = ", ".join(f"{name} {kind}" for name, kind in found["dtype"].items())
    lines = [
        "# Benchmark",
        "",
        f"- device: {found['device']}; processor {found['processor']}, "
        f"{found['threads']} of {found['cores']} threads",
        f"- number types: {types}",
        f"- versions: {versions}",
        f"- load average (1 minute) before and after: "
        f"{found['load_average_before']:.1f}, {found['load_average_after']:.1f}",
        "- inputs and weights are random; a time is the median of its repeats",
    ]
    if found["quick"]:
        lines.append("- **--quick: sizes are tiny and the numbers mean nothing**")
    for part, rows in results.items():
        lines += ["", f"## {titles[part]}", "", "| what | value | unit | note |"]
        lines.append("|---|---:|---|---|")
        lines += [
            f"| {row.name} | {number(row.value)} | {row.unit} | {row.note} |"
            for row in rows
        ]
    return "\n".join(lines) + "\n"


def number(value: float) -> str:
    """Return a value with three digits, large ones in full with separators."""
    if value == 0 or not math.isfinite(value):
        return str(value)
    digits = 2 - math.floor(math.log10(abs(value)))
    rounded = round(value, digits)
    return f"{rounded:,.{max(0, digits)}f}"


def write(
    folder: Path,
    found: Mapping[str, Any],
    sizes: Mapping[str, Any],
    results: Mapping[str, Sequence[Row]],
    text: str,
) -> None:
    """Write `bench.json` and `bench.md`, each whole or not at all."""
    content = {
        "environment": found,
        "sizes": sizes,
        "results": {part: [asdict(r) for r in rows] for part, rows in results.items()},
    }
    with atomic_path(folder / "bench.json") as path:
        path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    with atomic_path(folder / "bench.md") as path:
        path.write_text(text)
