"""What a job takes besides time: memory at its peak, and the GPU's energy."""

import ctypes
import resource
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

# The driver's library; it is there wherever a GPU of NVIDIA works.
NVML = "libnvidia-ml.so.1"
# What Linux says of this process.
STATUS = Path("/proc/self/status")


class Meter:
    """Measures from when it is made."""

    def __init__(self, device: torch.device):
        """Start.

        Args:
            device: that the job computes on.
        """
        self._device = device
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        self._energy = gpu_energy(device)

    def read(self) -> dict[str, Any]:
        """Return what was taken so far, None for what cannot be known.

        Returns:
            `memory`: peak bytes, `host` of this process and `device` of what torch's
            allocator held on the GPU; `energy`: joules that the `gpu` took, all of its
            jobs together.
        """
        cuda = self._device.type == "cuda"
        device = torch.cuda.max_memory_reserved(self._device) if cuda else None
        energy, before = gpu_energy(self._device), self._energy
        known = energy is not None and before is not None
        return {
            "memory": {"host": host_peak(), "device": device},
            "energy": {"gpu": energy - before if known else None},
        }


def resident(key: str) -> int:
    """Return bytes of this process as Linux has them: `VmRSS` now, `VmHWM` at its peak.

    Raises:
        AssertionError: there is no such number.
    """
    for line in STATUS.read_text().splitlines():
        if line.startswith(f"{key}:"):
            return 1024 * int(line.split()[1])
    raise AssertionError(f"{STATUS} has no {key}")


def host_peak() -> int:
    """Return the most bytes that this process has had in memory at once.

    On Linux not `ru_maxrss`, which starts at the size of the process that started it.
    """
    if STATUS.exists():
        return resident("VmHWM")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def gpu_energy(device: torch.device) -> float | None:
    """Return the joules that a GPU has counted since its driver started.

    None on a CPU, without the driver's library, and of a GPU that does not count (those
    before Volta, and parts of a divided one).
    """
    if device.type != "cuda":
        return None
    with suppress(OSError, AttributeError, RuntimeError):
        return _counted(ctypes.CDLL(NVML), _uuid(device))
    return None


def _uuid(device: torch.device) -> str:
    return f"GPU-{torch.cuda.get_device_properties(device).uuid}"


def _counted(nvml: Any, uuid: str) -> float | None:
    """Ask NVML, whose functions return 0 where all went well."""
    if nvml.nvmlInit_v2():
        return None
    try:
        handle, millijoules = ctypes.c_void_p(), ctypes.c_ulonglong()
        name = ctypes.c_char_p(uuid.encode())
        if nvml.nvmlDeviceGetHandleByUUID(name, ctypes.byref(handle)):
            return None
        answer = ctypes.byref(millijoules)
        if nvml.nvmlDeviceGetTotalEnergyConsumption(handle, answer):
            return None
        return millijoules.value / 1000
    finally:
        nvml.nvmlShutdown()
