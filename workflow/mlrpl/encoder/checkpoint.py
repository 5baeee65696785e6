"""The tensors of a checkpoint file, whatever program wrote it."""

import pickle
import re
import struct
import zipfile
from os import PathLike
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from mlrpl.encoder.torchscript import read_torchscript
from mlrpl.errors import UserError, printable
from mlrpl.runtime import faults

# What OpenAI's TorchScript archives store among the tensors; no other program does.
OPENAI_NUMBERS = ("input_resolution", "context_length", "vocab_size")

# What stands before each name in a file that a wrapper of the model saved: of
# torch.compile, of a data-parallel model, of a training framework.
WRAPPERS = {"_orig_mod", "module", "model"}

POINTER = b"version https://git-lfs"

UNREADABLE = (
    *(OSError, EOFError, LookupError, RuntimeError, SafetensorError, ValueError),
    *(TypeError, AttributeError, OverflowError, struct.error, zipfile.BadZipFile),
)


def read_checkpoint(path: str | PathLike) -> dict[str, Tensor]:
    """Return a checkpoint's tensors on the CPU, in the precision of the file.

    Read are safetensors files, `torch.save` of a state dict or of a training state
    with the key `state_dict`, and TorchScript archives such as OpenAI's. The format is
    told by the content, not by the file's name. No code in a pickle is run.

    Raises:
        UserError: when the file is missing, truncated or damaged, or holds something
            else.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(
            f"{path}: there is no checkpoint; give the path of the file, or one of "
            "open_clip's tags"
        )
    try:
        state = _read(path)
    except pickle.UnpicklingError as error:
        raise UserError(
            f"{path}: is damaged, or holds more than tensors ({_reason(error)}); "
            "save the state dict alone, as safetensors for instance"
        ) from error
    except UNREADABLE as error:
        if remedy := faults.reading_remedy(error):
            why = f"cannot be read ({faults.reason(error)}); {remedy}"
        else:
            why = (
                "is truncated or damaged, or not a checkpoint "
                f"({_reason(error)}); fetch it again"
            )
        raise UserError(f"{path}: {why}") from error
    if isinstance(state, dict) and isinstance(state.get("state_dict"), dict):
        state = state["state_dict"]
    if not (
        isinstance(state, dict)
        and state
        and all(isinstance(name, str) for name in state)
        and all(isinstance(value, Tensor) for value in state.values())
    ):
        raise UserError(
            f"{path}: is not a state dict, a mapping of names to tensors; save the "
            "model's state dict"
        )
    return _unwrapped(state)


def _unwrapped(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors by the names that the model has inside of its wrappers."""
    while True:
        first = {name.partition(".")[0] for name in state}
        if len(first) != 1 or not first <= WRAPPERS or "" in map(_inner, state):
            return dict(state)
        state = {_inner(name): tensor for name, tensor in state.items()}


def _inner(name: str) -> str:
    return name.partition(".")[2]


def _read(path: Path) -> object:
    with path.open("rb") as file:
        start = file.read(len(POINTER))
    if start == POINTER:
        raise UserError(
            f"{path}: is a pointer of Git LFS and not the file; get that with "
            "`git lfs pull`"
        )
    # safetensors: the length of a JSON header in 8 bytes, then that header.
    if start[8:9] == b"{" and not start.startswith((b"PK", b"\x80")):
        return load_file(path)
    if start.startswith(b"PK"):
        with zipfile.ZipFile(path) as archive:
            scripted = any(n.endswith("/constants.pkl") for n in archive.namelist())
        if scripted:
            return read_torchscript(path)
    return torch.load(path, map_location="cpu", weights_only=True)


def _reason(error: Exception) -> str:
    """Return why, without what torch advises: to run the code in the file."""
    text = str(error)
    if held := re.search(r"GLOBAL ([\w.]+)", text):
        return f"it holds {held[1]}"
    if "Weights only load failed" in text or "weights_only" in text:
        return "torch cannot read it as tensors alone"
    lines = printable(text.strip().split("\n")[0])
    return lines.rstrip(".;: ") or type(error).__name__
