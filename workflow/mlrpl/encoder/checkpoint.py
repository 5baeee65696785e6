"""The tensors of a checkpoint file, whatever program wrote it."""

import pickle
import struct
import warnings
import zipfile
from os import PathLike
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from mlrpl.errors import UserError

# What OpenAI's TorchScript archives store among the tensors; no other program does.
OPENAI_NUMBERS = ("input_resolution", "context_length", "vocab_size")


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
            f"{path}: is damaged, or holds more than tensors ({_first_line(error)}); "
            "save the state dict alone, as safetensors for instance"
        ) from error
    except (
        OSError,
        EOFError,
        KeyError,
        RuntimeError,
        SafetensorError,
        ValueError,
        struct.error,
        zipfile.BadZipFile,
    ) as error:
        raise UserError(
            f"{path}: is truncated or damaged, or not a checkpoint "
            f"({_first_line(error)}); fetch it again"
        ) from error
    if isinstance(state, dict) and isinstance(state.get("state_dict"), dict):
        state = state["state_dict"]
    if not (
        isinstance(state, dict)
        and state
        and all(isinstance(value, Tensor) for value in state.values())
    ):
        raise UserError(
            f"{path}: is not a state dict, a mapping of names to tensors; save the "
            "model's state dict"
        )
    if all(name.startswith("module.") for name in state):  # a data-parallel wrapper
        state = {name.removeprefix("module."): t for name, t in state.items()}
    return dict(state)


def _read(path: Path) -> object:
    with path.open("rb") as file:
        start = file.read(9)
    # safetensors: the length of a JSON header in 8 bytes, then that header.
    if start[8:9] == b"{" and not start.startswith((b"PK", b"\x80")):
        return load_file(path)
    if start.startswith(b"PK"):
        with zipfile.ZipFile(path) as archive:
            scripted = any(n.endswith("/constants.pkl") for n in archive.namelist())
        if scripted:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FutureWarning)
                return dict(torch.jit.load(path, map_location="cpu").state_dict())
    return torch.load(path, map_location="cpu", weights_only=True)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".;: ") if lines else type(error).__name__
