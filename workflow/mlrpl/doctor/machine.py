"""What the machine has: versions, cores, memory, a GPU, free disk."""

import importlib.metadata
import os
import platform
import re
import shutil
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from mlrpl.runtime.memory import host_memory

PYPROJECT = Path(__file__).resolve().parents[3] / "pyproject.toml"
INSTALL = "install envs/requirements.txt"


@dataclass(frozen=True)
class Gpu:
    """A CUDA card: its name, and its memory in bytes."""

    name: str
    total: int
    free: int


@dataclass(frozen=True)
class Machine:
    """What there is.

    Attributes:
        versions: of Python and of each package that the project needs; None where it
            is not installed.
        cores: cores that a process here may use.
        memory: bytes of the host's memory, all of it; None if unknown.
        available: bytes of it that are not in use.
        gpu: the first CUDA card that torch sees.
        shared_memory: free bytes of /dev/shm; None without it.
        torch_fault: why torch cannot be used, although it is installed.
        file_system: of a folder, which need not exist yet: a name that is equal for
            all folders of one file system, and its free bytes.
    """

    versions: Mapping[str, str | None]
    cores: int
    memory: int | None
    available: int | None
    gpu: Gpu | None
    torch_fault: str | None
    file_system: Callable[[str], tuple[str, int]]
    shared_memory: int | None = None


def look() -> Machine:
    """Look at this machine; torch is imported, if it is there, to find the card."""
    gpu, fault = _gpu()
    memory, available = host_memory()
    cores = getattr(os, "sched_getaffinity", None)
    return Machine(
        versions=_versions(),
        cores=len(cores(0)) if cores else os.cpu_count() or 1,
        memory=memory,
        available=available,
        gpu=gpu,
        torch_fault=fault,
        file_system=file_system,
        shared_memory=_shared_memory(),
    )


def ranges(pyproject: Path = PYPROJECT) -> dict[str, str]:
    """Return the version ranges of Python and of the packages, as pyproject has them.

    Empty where the package is installed without the project's files.
    """
    if not pyproject.is_file():
        return {}
    project = tomllib.loads(pyproject.read_text())["project"]
    found = {"python": project["requires-python"]}
    for line in project["dependencies"]:
        name = re.split(r"[<>=]", line, maxsplit=1)[0]
        found[name] = line.removeprefix(name)
    return found


def in_range(version: str, allowed: str) -> bool:
    """Return whether a version is in a range of `>=` and `<`: "2.14.1" in ">=2.11"."""
    number = _numbers(version)
    for part in filter(None, allowed.split(",")):
        if part.startswith(">=") and number < _numbers(part[2:]):
            return False
        if part.startswith("<") and number >= _numbers(part[1:]):
            return False
    return True


def version_faults(versions: Mapping[str, str | None]) -> list[str]:
    """Return one line for each package that is missing or out of its range."""
    faults = []
    for name, allowed in ranges().items():
        version = versions.get(name)
        if version is None:
            faults.append(f"{name}: is not installed; {INSTALL}")
        elif not in_range(version, allowed):
            faults.append(f"{name}: is {version}, not {allowed}; {INSTALL}")
    return faults


def file_system(folder: str) -> tuple[str, int]:
    """Return a name of the folder's file system and its free bytes.

    A folder that is not there yet is on that of the nearest one above it.
    """
    path = Path(folder).absolute()
    while not path.exists() and path != path.parent:
        path = path.parent
    return str(os.stat(path).st_dev), shutil.disk_usage(path).free


def _shared_memory(folder: str = "/dev/shm") -> int | None:
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return None


def _numbers(version: str) -> tuple[int, ...]:
    plain = re.match(r"\d+(\.\d+)*", version)
    return tuple(map(int, plain.group().split("."))) if plain else ()


def _versions() -> dict[str, str | None]:
    found: dict[str, str | None] = {"python": platform.python_version()}
    names = [name for name in ranges() if name != "python"]
    for name in names or ("torch", "open_clip_torch", "snakemake"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = None
    return found


def _gpu() -> tuple[Gpu | None, str | None]:
    try:
        import torch

        if not torch.cuda.is_available():
            return None, None
        free, total = torch.cuda.mem_get_info(0)
        return Gpu(torch.cuda.get_device_name(0), total, free), None
    except ModuleNotFoundError:
        return None, None  # its version is missing, too
    except (ImportError, OSError, RuntimeError) as error:
        return None, " ".join(str(error).split())
