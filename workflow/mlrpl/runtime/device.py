"""The device that a command computes on."""

import fcntl
import itertools
import os
import stat
import tempfile
from pathlib import Path
from typing import IO

import torch

from mlrpl.errors import UserError
from mlrpl.runtime import memory

# Compute capability of the first cards that multiply in bf16, those of Ampere.
BF16 = (8, 0)

# The lock of this process's GPU, which its end lifts.
_held: list[IO[bytes]] = []


def choose_device(name: str, deterministic: bool = False) -> torch.device:
    """Return the device of "auto" (CUDA when there is one), "cpu" or "cuda".

    Of several GPUs, the one that the fewest processes of this project have chosen.

    Args:
        name: as in the config.
        deterministic: the same bits each time. On a CPU the operations used here are so
            by themselves.

    Raises:
        UserError: when "cuda" is asked for and there is none.
    """
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise UserError("device: cuda: no CUDA device is visible; use cpu or auto")
    device = torch.device("cpu")
    if name != "cpu" and available:
        device = torch.device("cuda", claim(torch.cuda.device_count()))
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


def claim(count: int, folder: str | os.PathLike | None = None) -> int:
    """Return the GPU that the fewest processes hold; hold it to the end of this one.

    Args:
        count: how many there are; those that CUDA_VISIBLE_DEVICES leaves.
        folder: of the lock files, by default one of this user's own.
    """
    if count == 1:
        return 0
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    names = visible if len(visible) == count else [str(i) for i in range(count)]
    place = _own_folder() if folder is None else Path(folder)
    if place is None:
        return os.getpid() % count  # no place for locks: spread at random
    for turn in itertools.count():  # a second process a GPU when each has a first
        for number, name in enumerate(names):
            gpu = name.replace(os.sep, "-")
            file = place / f"mlrpl-{os.getuid()}-gpu-{gpu}-{turn}.lock"
            try:
                # Never through a link, which might lead to any file of this user.
                flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
                lock = os.fdopen(os.open(file, flags, 0o600), "r+b")
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue  # held; the file closes as nothing names it any more
            except OSError:
                return os.getpid() % count  # no locks here: spread at random
            _held.append(lock)
            return number
    raise AssertionError("a count has no end")


def _own_folder() -> Path | None:
    """Return a folder for lock files that this user alone can write to; None if none.

    The folder for temporary files is everybody's, where anyone may have made one of
    this name.
    """
    folder = Path(tempfile.gettempdir()) / f"mlrpl-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError:
        return None
    others = stat.S_IMODE(found.st_mode) & 0o077
    ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not others
    return folder if ours else None
