"""The device that a command computes on."""

import os

import torch

from mlrpl.errors import UserError


def choose_device(name: str, deterministic: bool = False) -> torch.device:
    """Return the device of "auto" (CUDA when there is one), "cpu" or "cuda".

    Args:
        name: as in the config.
        deterministic: the same bits each time. On a CPU the operations used here are so
            by themselves, and torch's switch would import its compiler.

    Raises:
        UserError: when "cuda" is asked for and there is none.
    """
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise UserError("device: cuda: no CUDA device is visible; use cpu or auto")
    device = torch.device("cuda" if name != "cpu" and available else "cpu")
    if deterministic and device.type == "cuda":
        # cuBLAS is deterministic only with this set before its first use.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)
    return device
