"""The device that a command computes on."""

import os

import torch

from mlrpl.errors import UserError
from mlrpl.runtime import gpu_locks, memory

# Compute capability of the first cards that multiply in bf16, those of Ampere.
BF16 = (8, 0)


def choose_device(name: str, deterministic: bool = False) -> torch.device:
    """Return the device of "auto" (CUDA when there is one), "cpu" or "cuda".

    Of several GPUs, one that the fewest processes of this project have chosen.

    Args:
        name: as in the config.
        deterministic: the same bits each time. On a CPU the operations used here are so
            by themselves.

    Raises:
        UserError: when "cuda" is asked for and there is none.
    """
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        hidden = os.environ.get("CUDA_VISIBLE_DEVICES", "0").strip() in ("", "-1")
        why = " (CUDA_VISIBLE_DEVICES hides all)" if hidden else ""
        raise UserError(
            f"device: cuda: no CUDA device is visible{why}; use cpu or auto"
        )
    device = torch.device("cpu")
    if name != "cpu" and available:
        device = torch.device("cuda", gpu_locks.claim(_cards()))
        torch.cuda.set_device(device)
    if deterministic and device.type == "cuda":
        # cuBLAS is deterministic only with this set before its first use.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        # The same switch as `use_deterministic_algorithms`, which also imports torch's
        # compiler, and so fails beside a Triton that torch cannot import.
        torch.set_deterministic_debug_mode("error")
        # Nothing here reads memory before it is written; to fill it takes a kernel
        # for each new tensor.
        torch.utils.deterministic.fill_uninitialized_memory = False
    if device.type == "cpu":
        memory.keep_freed_memory()
    return device


def device_name(device: torch.device) -> str:
    """Return the card's name, or "cpu"."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return device.type


def precision_on(device: torch.device, precision: str) -> str:
    """Return "fp32" or "bf16": what the option `precision` means on a device.

    "auto" is bf16 on a card that has instructions for it. On an older one torch works
    it out from other instructions, slower than fp32, or refuses.
    """
    if precision != "auto":
        return precision
    if device.type != "cuda":
        return "fp32"
    return "bf16" if torch.cuda.get_device_capability(device) >= BF16 else "fp32"


def _cards() -> list[str]:
    """Return the cards that are visible, by names that are theirs everywhere.

    Their numbers are not: they depend on CUDA_VISIBLE_DEVICES and CUDA_DEVICE_ORDER.
    """
    properties = map(torch.cuda.get_device_properties, range(torch.cuda.device_count()))
    return [str(found.uuid) for found in properties]
