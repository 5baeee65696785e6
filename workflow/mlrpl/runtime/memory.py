"""How much memory there is, what is kept of it, and where a split's features go."""

import ctypes
import os
from pathlib import Path

# Of the memory that is free: what features may take of a GPU's, the rest being for the
# step, and of the host's.
DEVICE_SHARE, HOST_SHARE = 0.5, 0.75
# glibc's mallopt: what it is asked for, and the values that it gets.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
KEPT, LARGEST = 2**30, 2**25


def host_memory() -> tuple[int | None, int | None]:
    """Return the total and the available bytes; a container's limit counts."""
    total, available = None, None
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        entries = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines}
        total, available = entries["MemTotal"], entries["MemAvailable"]
    except (OSError, KeyError, IndexError, ValueError):
        try:
            total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        except (ValueError, OSError, AttributeError):
            return None, None
    try:
        limit = int(Path("/sys/fs/cgroup/memory.max").read_text())
        total = min(total, limit)
    except (OSError, ValueError):
        pass
    return total, total if available is None else min(available, total)


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
