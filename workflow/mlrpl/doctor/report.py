"""The screen of `mlrpl doctor`: plain text of at most 88 columns."""

import textwrap
from collections.abc import Sequence

from mlrpl.doctor.findings import Disk, Findings, duration, folders, gigabytes
from mlrpl.doctor.sources import Source

WIDTH = 88
INDENT = 12
SHOWN = ("python", "torch", "open_clip_torch", "snakemake")
# Files are listed one by one up to this many; beyond, those that are there are summed.
FILES = 16
STATES = {
    "there": "there",
    "unfinished": "unfinished",
    "download": "to download",
    "made": "to be made",
    "missing": "MISSING",
    "wrong": "WRONG",
}
BASIS = {
    "index": "counted",
    "labels": "counted",
    "published": "as published",
    "demo": "at most",
}


def screen(findings: Findings, files: Sequence[str]) -> str:
    """Return the whole report; its last line says `ready` or `not ready`.

    Args:
        findings: what was found.
        files: the names of the config's files.
    """
    lines = _entry("config", " + ".join(files))
    lines += _entry("versions", _versions(findings))
    lines += _entry("device", _device(findings))
    lines += _files(findings.files)
    lines += _entry("images", _images(findings))
    for disk in findings.disks:
        lines += _entry("disk", _disk(disk))
    lines += _entry("memory", _memory(findings))
    if findings.memory and findings.memory.card is not None:
        lines += _entry("GPU memory", _card(findings))
    lines += _entry("trainings", _work(findings))
    lines += _entry("time", _time(findings))
    lines += _entry("cluster", _jobs(findings))
    for note in findings.notes:
        lines += _entry("note", note)
    lines += [f"! {fault}" for fault in findings.faults]
    return "\n".join([*lines, verdict(findings)])


def verdict(findings: Findings) -> str:
    """Return the last line: `ready`, or how many things are not."""
    if not findings.faults:
        return "ready"
    count = len(findings.faults)
    return f"not ready: {count} thing{'s' if count > 1 else ''}"


def _entry(title: str, text: str) -> list[str]:
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=title.ljust(INDENT),
        subsequent_indent=" " * INDENT,
        break_on_hyphens=False,
    )


def _versions(findings: Findings) -> str:
    versions = findings.machine.versions
    return ", ".join(f"{name} {versions.get(name) or 'missing'}" for name in SHOWN)


def _device(findings: Findings) -> str:
    gpu, cores = findings.machine.gpu, findings.cores
    text = f"{cores} core{'s' if cores > 1 else ''}"
    if gpu is None:
        text += ", no CUDA device"
        if findings.serial:
            text += (
                " (one job at a time, as if there were one; device: cpu runs several)"
            )
        return text
    card = f"{gpu.name} of {gigabytes(gpu.total)}"
    return f"{text}, {card}" if findings.cuda else f"{text}; not used: {card}"


def _files(files: Sequence[Source]) -> list[str]:
    if not files:
        return _entry("files", "none is needed")
    fetch = [file.to_fetch for file in files]
    total = sum(size or 0 for size in fetch)
    unknown = fetch.count(None)
    text = f"{len(files)}, {gigabytes(total)} to download" if total else f"{len(files)}"
    if unknown:
        text += f", {unknown} of unknown size"
    lines = _entry("files", text)
    listed = list(files)
    if len(files) > FILES:
        listed = [file for file in files if file.state != "there"][:FILES]
        there = [file for file in files if file.state == "there"]
        size = gigabytes(sum(file.size or 0 for file in there))
        lines.append(f"  {'there':12}{size:>9}  {len(there)} files")
        if rest := len(files) - len(there) - len(listed):
            lines.append(f"  and {rest} files more that are not there")
    return lines + [_file(file) for file in listed]


def _file(file: Source) -> str:
    size = "?" if file.size is None else gigabytes(file.size)
    if file.size is None and file.state in ("there", "made"):
        size = ""
    note = file.note
    if file.state == "unfinished" and file.at_hand:
        note = f"{gigabytes(file.at_hand)} of it here, {note}"
    note = f" ({note})" if note else ""
    start = f"  {STATES[file.state]:12}{'~' if file.estimated and size != '?' else ''}"
    start = start.rstrip("~").ljust(14) + f"{'~' * ('~' in start) + size:>9}  "
    room = WIDTH - len(start) - len(note)
    path = file.path if len(file.path) <= room else "..." + file.path[3 - room :]
    return start + path + note


def _images(findings: Findings) -> str:
    parts = []
    for name, splits in findings.sizes.splits.items():
        counts = [split.images for split in splits.values()]
        if None in counts:
            parts.append(f"{name} unknown until its index is made")
        else:
            basis = BASIS[splits["train"].basis]
            parts.append(f"{name} {counts[0]:,} + {counts[1]:,} {basis}")
    feature = findings.sizes.feature
    if feature is None:
        parts.append("the size of a feature is unknown until the first is made")
    else:
        parts.append(
            f"a map {feature.locations} x {feature.channels}, "
            f"{feature.map_bytes:,} bytes"
        )
    return "; ".join(parts)


def _disk(disk: Disk) -> str:
    parts = [f"{n.what} {gigabytes(n.bytes)}" for n in disk.needs if n.bytes]
    unknown = [f"{n.what} of {', '.join(n.unknown)}" for n in disk.needs if n.unknown]
    text = (
        f"{gigabytes(disk.bytes)} to be written of {gigabytes(disk.free)} free in "
        f"{folders(disk)}: {', '.join(parts) or 'nothing is known'}"
    )
    return text + (f"; unknown: {'; '.join(unknown)}" if unknown else "")


def _memory(findings: Findings) -> str:
    memory, machine = findings.memory, findings.machine
    have = "unknown memory"
    if machine.memory is not None and machine.available is not None:
        have = f"{gigabytes(machine.memory)} ({gigabytes(machine.available)} available)"
    if memory is None:
        return f"{have}; no training is left"
    if not memory.largest:
        unknown = f": {', '.join(memory.unknown)}" if memory.unknown else ""
        return f"{have}; what a training takes is unknown{unknown}"
    count = (
        f"{memory.at_once} trainings at once" if memory.at_once > 1 else "one training"
    )
    text = (
        f"about {gigabytes(memory.host)} for {count}, of {have}; the features of "
        f"{memory.largest.split('/')[0]} are {gigabytes(memory.features)}"
    )
    if memory.on_disk:
        text += f", {gigabytes(memory.on_disk)} of it read from the disk each epoch"
    unknown = f"; unknown: {', '.join(memory.unknown)}" if memory.unknown else ""
    return text + unknown


def _card(findings: Findings) -> str:
    memory, gpu = findings.memory, findings.machine.gpu
    assert memory is not None and memory.card is not None and gpu is not None
    where = f"{gigabytes(memory.on_card)} of them features" if memory.on_card else ""
    where = where or "the features stay in host memory"
    return (
        f"about {gigabytes(memory.card)} of {gigabytes(gpu.free)} free, {where} "
        "(not measured)"
    )


def _work(findings: Findings) -> str:
    work = findings.work
    if not work.runs:
        return "none: every experiment is switched off, and no ablation is chosen"
    by_name = ", ".join(f"{name} {count}" for name, count in work.by_experiment.items())
    text = f"{len(work.runs)}, shared runs once ({by_name}); {len(work.seconds)} there"
    if work.changed:
        text += f", {len(work.changed)} there with other options and made again"
    if work.uncounted:
        text += f"; besides, {'; '.join(work.uncounted)}"
    return text


def _jobs(findings: Findings) -> str:
    parts = [
        f"{need.rule} {gigabytes(1e6 * need.ask.mem_mb)} and "
        f"{duration(60 * need.ask.runtime)} ({need.name})"
        for need in findings.jobs
    ]
    return f"jobs ask for at most: {', '.join(parts) or 'nothing is known'}"


def _time(findings: Findings) -> str:
    time = findings.time
    encode = "unknown" if time.encode is None else f"about {duration(time.encode)}"
    images = "unknown number of" if time.images is None else f"{time.images:,}"
    train = "unknown" if time.train is None else f"about {duration(time.train)}"
    basis = "operations counted, at rates not measured here"
    if time.measured:
        basis = f"trainings as the {time.measured} that ran here"
    return (
        f"rough: features of {images} images {encode}, "
        f"{len(findings.work.to_do)} trainings {train} ({basis})"
    )
