"""What a configuration needs beside what the machine has, and what is amiss."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlrpl.doctor import (
    class_names,
    cluster,
    disk_needs,
    largest_jobs,
    memory_needs,
    sources,
    time_needs,
)
from mlrpl.doctor import machine as machines
from mlrpl.doctor.contents import content_faults
from mlrpl.doctor.disk_needs import DiskNeed
from mlrpl.doctor.memory_needs import MemoryNeed
from mlrpl.doctor.notes import notes
from mlrpl.doctor.time_needs import TimeNeed
from mlrpl.doctor.work import Sizes, Work, find_sizes, find_work

# A run is not ready to start if it would take longer than this, whatever else is right.
LONGEST = 180 * 86400


@dataclass(frozen=True)
class Disk:
    """One file system: the folders on it, what they will take, and its free bytes."""

    needs: Sequence[DiskNeed]
    free: int

    @property
    def bytes(self) -> int:
        """Bytes still to be written."""
        return sum(need.bytes for need in self.needs)


@dataclass(frozen=True)
class Findings:
    """What `mlrpl doctor` found.

    Attributes:
        machine: what the machine has.
        cuda: whether the jobs run on the GPU.
        serial: whether jobs ask for the GPU, so that one runs at a time.
        cores: cores that Snakemake is given.
        work: the runs.
        sizes: images and features.
        files: what the experiments read.
        disks: what they write, by file system.
        memory: of the trainings; None when none is left.
        time: a rough time.
        jobs: what the largest jobs ask of a cluster.
        faults: one line for each thing without which the run would fail.
        notes: one line for each thing that does not stop it.
    """

    machine: machines.Machine
    cuda: bool
    serial: bool
    cores: int
    work: Work
    sizes: Sizes
    files: Sequence[sources.Source]
    disks: Sequence[Disk]
    memory: MemoryNeed | None
    time: TimeNeed
    jobs: Sequence[largest_jobs.JobNeed]
    faults: Sequence[str]
    notes: Sequence[str]


def examine(
    config: Mapping[str, Any],
    machine: machines.Machine,
    cores: int | None = None,
    hashes: bool = False,
    executor: str | None = None,
) -> Findings:
    """Compare what a configuration needs with what there is.

    Args:
        config: the checked configuration.
        machine: what the machine has.
        cores: cores that Snakemake is given; None for all.
        hashes: read the files that are there, and compare their hashes.
        executor: what Snakemake has its jobs run by; None for this machine.
    """
    cores = cores or machine.cores
    cuda = machine.gpu is not None and config["device"] != "cpu"
    work = find_work(config, cuda)
    found = find_sizes(config, work.datasets)
    files = sources.find_sources(config, work.datasets, hashes)
    disks = _by_disk(disk_needs.disk_needs(config, work, found, files), machine)
    card = machine.gpu.free if cuda and machine.gpu else None
    memory = memory_needs.memory_need(
        config, work, found, cores, card, machine.available
    )
    at_once = memory.at_once if memory else 1
    time = time_needs.time_need(config, work, found, cores, cuda, at_once)
    faults = machines.version_faults(machine.versions)
    if machine.torch_fault:
        faults.append(f"torch: cannot be used ({machine.torch_fault}); reinstall it")
    elif config["device"] == "cuda" and machine.gpu is None:
        faults.append("device: cuda: no CUDA device is visible; use cpu or auto")
    faults += cluster.faults(executor, config)
    faults += [file.fault for file in files if file.fault]
    faulty = [file.path for file in files if file.fault]
    faults += content_faults(config, work.datasets, faulty)
    faults += class_names.split_faults(config, work.datasets)
    faults += class_names.text_faults(config, work.datasets)
    faults += [fault for disk in disks if (fault := _disk_fault(disk))]
    faults += _memory_faults(memory, machine)
    faults += _time_faults(time, cuda, config["device"])
    return Findings(
        machine=machine,
        cuda=cuda,
        serial=config["device"] != "cpu",
        cores=cores,
        work=work,
        sizes=found,
        files=files,
        disks=disks,
        memory=memory,
        time=time,
        jobs=largest_jobs.job_needs(config, work, found),
        faults=faults,
        notes=notes(config, work.datasets, machine.shared_memory),
    )


def gigabytes(count: float) -> str:
    """Return bytes as one reads them: 13.5 GB, 253 MB, 1 kB."""
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if count >= 0.9995 * size:
            value = count / size
            return f"{value:.1f} {unit}" if value < 99.95 else f"{value:.0f} {unit}"
    return f"{count / 1e3:.0f} kB" if count >= 1e3 else f"{count:.0f} B"


def folders(disk: Disk) -> str:
    """Return the folders of a disk that something goes into, each once."""
    return ", ".join(dict.fromkeys(need.folder for need in disk.needs))


def _by_disk(found: Sequence[DiskNeed], machine: machines.Machine) -> list[Disk]:
    groups: dict[str, tuple[list[DiskNeed], int]] = {}
    for need in found:
        name, free = machine.file_system(need.folder)
        groups.setdefault(name, ([], free))[0].append(need)
    return [Disk(some, free) for some, free in groups.values()]


def _disk_fault(disk: Disk) -> str | None:
    if disk.bytes <= disk.free:
        return None
    return (
        f"disk of {folders(disk)}: {gigabytes(disk.bytes)} are still to be written "
        f"and {gigabytes(disk.free)} are free; free {gigabytes(disk.bytes - disk.free)}"
        ", or set results or data_dir to another disk"
    )


def _memory_faults(memory: MemoryNeed | None, machine: machines.Machine) -> list[str]:
    faults = []
    if memory and machine.available is not None and memory.host > machine.available:
        one = f"{memory.at_once} trainings at once take"
        remedy = "give Snakemake fewer --cores, or use a machine with more"
        if memory.at_once == 1:
            one = f"{memory.largest} takes"
            remedy = "end other programs, or use a machine with more"
        faults.append(
            f"memory: {one} {gigabytes(memory.host)} and "
            f"{gigabytes(machine.available)} are available; {remedy}"
        )
    gpu = machine.gpu
    if memory and memory.card is not None and gpu and memory.card > gpu.free:
        faults.append(
            f"GPU memory: a job takes about {gigabytes(memory.card)} and "
            f"{gigabytes(gpu.free)} of {gpu.name} are free; end other programs there, "
            "or set device to cpu"
        )
    return faults


def _time_faults(time: TimeNeed, cuda: bool, device: str) -> list[str]:
    seconds = (time.encode or 0) + (time.train or 0)
    if seconds <= LONGEST:
        return []
    remedy = "ask for fewer methods, proportions and seeds in experiments"
    if not cuda:
        card = "set device to auto" if device == "cpu" else "run it where a GPU is"
        remedy = f"{card}, or {remedy}"
    return [f"time: about {duration(seconds)} on this machine; {remedy}"]


def duration(seconds: float) -> str:
    """Return a rough time: 50 s, 12 min, 3.5 h, 8 days, 4 years."""
    for unit, size in (("years", 365 * 86400), ("days", 86400), ("h", 3600)):
        if seconds >= 2 * size:
            return f"{float(f'{seconds / size:.2g}'):g} {unit}"
    return f"{seconds / 60:.0f} min" if seconds >= 100 else f"{seconds:.0f} s"
