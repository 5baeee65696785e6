"""Machines passed in as numbers, and small configurations, for the doctor."""

import zipfile
from dataclasses import replace
from pathlib import Path

import yaml

from mlrpl.config import files as config_files
from mlrpl.config.validation import validate
from mlrpl.doctor import machine as machines
from mlrpl.doctor import report

GB = 10**9
VERSIONS = dict.fromkeys(machines.ranges(), "999")
VERSIONS.update(
    python="3.12.1", open_clip_torch="3.3.0", snakemake="9.27.1", pooch="1.9.0"
)
VERSIONS["snakemake-logger-plugin-rich"] = "0.5.0"


def machine(memory=64 * GB, gpu=None, free=500 * GB, **changes) -> machines.Machine:
    plain = machines.Machine(
        versions=VERSIONS,
        cores=8,
        memory=memory,
        available=memory,
        gpu=gpu,
        torch_fault=None,
        file_system=lambda folder: ("one disk", free),
    )
    return replace(plain, **changes)


def card(total: int) -> machines.Gpu:
    return machines.Gpu("A card", total, total)


def load(*overlays: dict) -> dict:
    files = []
    for number, overlay in enumerate(overlays):
        files.append(f"overlay{number}.yaml")
        Path(files[-1]).write_text(yaml.safe_dump(overlay))
    return validate(config_files.load_config(files))


def shown(findings) -> str:
    """Return the screen after checking what holds for every screen."""
    text = report.screen(findings, ["config.yaml"])
    lines = text.splitlines()
    faults = [line for line in lines if line.startswith("! ")]
    assert len(lines) <= 40
    assert all(len(line) <= 88 for line in lines if line not in faults)
    assert faults == [f"! {fault}" for fault in findings.faults]
    count = len(faults)
    words = f"not ready: {count} thing{'s' * (count > 1)}" if count else "ready"
    assert lines[-1] == words
    return text


def faults(findings) -> list[str]:
    """Return the faults besides that of the paper's experiment on a CPU, its years."""
    return [fault for fault in findings.faults if not fault.startswith("time: ")]


def archive(path: str, **members: str) -> Path:
    """Write a zip of a picture and other members."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as file:
        for name, text in {"a.jpg": "picture", **members}.items():
            file.writestr(name, text)
    return Path(path)


def voc_members(*sets: str) -> dict[str, str]:
    """Return the members of a VOC archive that has these image sets."""
    folder = "VOCdevkit/VOC2007"
    found = {f"{folder}/ImageSets/Main/{name}.txt": "000001" for name in sets}
    return {**found, f"{folder}/Annotations/000001.xml": "<annotation/>"}


def in_one_line(text: str) -> str:
    return " ".join(text.split())


def small(**changes) -> dict:
    """An overlay: VOC alone, one table of one training."""
    off = dict.fromkeys(load()["experiments"])
    table = {"methods": ["sarl"], "proportions": [0.5], "seeds": [0]}
    table["systems"] = None
    return {
        "datasets": {"coco2014": None, **changes.pop("datasets", {})},
        "experiments": {**off, "table2": table},
        **changes,
    }


def write(path: str, data: bytes) -> Path:
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    return file
