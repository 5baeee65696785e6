"""The device that a command computes on."""

import torch

from mlrpl.errors import UserError


def choose_device(name: str) -> torch.device:
    """Return the device of "auto" (CUDA when there is one), "cpu" or "cuda".

    Raises:
        UserError: when "cuda" is asked for and there is none.
    """
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise UserError("device: cuda: no CUDA device is visible; use cpu or auto")
    return torch.device("cuda" if name != "cpu" and available else "cpu")
