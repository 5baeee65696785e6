"""How much memory there is, what is kept of it, and where a split's features go."""

import ctypes
import os
import resource
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

# Of the memory that is free: what features may take of a GPU's, the rest being for the
# step, and of the host's.
DEVICE_SHARE, HOST_SHARE = 0.5, 0.75
# glibc's mallopt: what it is asked for, and the values that it gets.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
KEPT, LARGEST = 2**30, 2**25


# Of each version of cgroups: the files of the limits and of what is in use, and the
# entry of memory.stat for what of it the system takes back when it is needed: files
# that were read once.
CGROUP_1 = (("memory.limit_in_bytes",), "memory.usage_in_bytes", "total_inactive_file")
CGROUP_2 = (("memory.max", "memory.high"), "memory.current", "inactive_file")
# From here on a number stands for no limit: version 1 has no word for that.
UNLIMITED = 2**60


def host_memory(
    proc: Path = Path("/proc"),
    cgroups: Path = Path("/sys/fs/cgroup"),
    environment: Mapping[str, str] = os.environ,
) -> tuple[int | None, int | None]:
    """Return the total and the available bytes for this process; None if unknown.

    A limit of a container, of a batch system or of the shell counts as the machine's
    end does, and what is in use below it is not available.

    Args:
        proc: where the system says what there is.
        cgroups: where it says what a group of processes may have.
        environment: of this process, in which Slurm says what a job may have.
    """
    total, available = _machine(proc)
    limits = [
        *_cgroup_limits(proc, cgroups),
        *_slurm_limits(proc, environment),
        *_address_space(proc),
    ]
    for limit, left in limits:
        total = limit if total is None else min(total, limit)
        available = left if available is None else min(available, left)
    if total is None or available is None:
        return total, None
    return total, max(0, min(available, total))


def _machine(proc: Path) -> tuple[int | None, int | None]:
    """Return the bytes that the machine has, and those that are not in use."""
    try:
        lines = (proc / "meminfo").read_text().splitlines()
        entries = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines}
        return entries["MemTotal"], entries["MemAvailable"]
    except (OSError, KeyError, IndexError, ValueError):
        pass
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"), None
    except (ValueError, OSError, AttributeError):
        return None, None


def _cgroup_limits(proc: Path, cgroups: Path) -> Iterator[tuple[int, int]]:
    """Yield the limit and what is left of it, of each group that this process is in.

    A group is in another one, whose limit holds for both, up to the root. In a
    container the root is the container's own group, and the path may be the host's.
    """
    try:
        lines = (proc / "self/cgroup").read_text().splitlines()
    except OSError:
        lines = []
    paths = {}
    for line in lines:
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" and not controllers:
            paths["2"] = path
        elif "memory" in controllers.split(","):
            paths["1"] = path
    yield from _levels(cgroups, paths.get("2", "/"), *CGROUP_2)
    yield from _levels(cgroups / "memory", paths.get("1", "/"), *CGROUP_1)


def _levels(
    root: Path, path: str, limits: Sequence[str], usage: str, reclaimable: str
) -> Iterator[tuple[int, int]]:
    parts = [part for part in path.split("/") if part]
    if ".." in parts:  # outside of what is visible here
        parts = []
    for depth in range(len(parts), -1, -1):
        folder = root.joinpath(*parts[:depth])
        used = (_number(folder / usage) or 0) - _stat(folder, reclaimable)
        for name in limits:
            limit = _number(folder / name)
            if limit is not None and limit < UNLIMITED:
                yield limit, limit - max(0, used)


def _number(file: Path) -> int | None:
    """Return a file's number; None without one, as in "max"."""
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return None


def _stat(folder: Path, key: str) -> int:
    """Return an entry of a group's memory.stat, 0 without one."""
    try:
        lines = (folder / "memory.stat").read_text().splitlines()
        return int(dict(line.split() for line in lines)[key])
    except (OSError, ValueError, KeyError):
        return 0


def _slurm_limits(
    proc: Path, environment: Mapping[str, str]
) -> Iterator[tuple[int, int]]:
    """Yield what Slurm gave the job on this node, which not every site enforces.

    What other processes of the job use of it is not known here.
    """

    def number(name: str) -> int:
        text = environment.get(name, "")
        return int(text) if text.isdecimal() else 0

    cores = number("SLURM_CPUS_ON_NODE")
    for megabytes in (
        number("SLURM_MEM_PER_NODE"),
        number("SLURM_MEM_PER_CPU") * cores,
    ):
        if megabytes:  # 0 is all that the node has
            limit = megabytes * 2**20
            yield limit, limit - _own(proc)[1]


def _address_space(proc: Path) -> Iterator[tuple[int, int]]:
    """Yield the limit of `ulimit -v`, which some batch systems set."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY:
        yield limit, limit - _own(proc)[0]


def _own(proc: Path) -> tuple[int, int]:
    """Return the bytes of this process: of its address space, and in memory."""
    try:
        size, resident = (proc / "self/statm").read_text().split()[:2]
    except (OSError, ValueError):
        return 0, 0
    page = os.sysconf("SC_PAGE_SIZE")
    return int(size) * page, int(resident) * page


def place(size: int, device_free: int | None, host_free: int | None) -> str:
    """Return where features go: "device" if they fit, else "host", else "disk".

    Args:
        size: their bytes.
        device_free: free bytes of the GPU; None without one.
        host_free: available bytes of the host; None if unknown, taken as enough.
    """
    if device_free is not None and size <= DEVICE_SHARE * device_free:
        return "device"
    if host_free is None or size <= HOST_SHARE * host_free:
        return "host"
    return "disk"


def keep_freed_memory() -> None:
    """Let this process keep up to 1 GiB that it has freed, for what it needs next.

    By default glibc hands the memory of a large tensor back at once, and the next one
    of its size begins with a page fault every 4 KiB: a fifth of a small training.
    Another C library is left as it is.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, LARGEST)
        mallopt(M_TRIM_THRESHOLD, KEPT)
