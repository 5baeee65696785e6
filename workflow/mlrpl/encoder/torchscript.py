"""The tensors of a TorchScript archive, of which no code is run.

`torch.jit.load` carries out what the archive says while it loads. Its parts can be read
without: `data.pkl` has the modules as plain objects, `data/` the numbers, and the text
of each class in `code/` names its parameters and buffers.
"""

import ast
import pickle
import re
import zipfile
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from os import PathLike
from typing import Any

import torch
from torch import Tensor

DTYPES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}


def read_torchscript(path: str | PathLike) -> dict[str, Tensor]:
    """Return parameters and buffers by name, as the loaded module's `state_dict`.

    Raises:
        pickle.UnpicklingError: the archive holds what a module's tensors do not need.
        KeyError, ValueError, RuntimeError, zipfile.BadZipFile: it is damaged.
    """
    with zipfile.ZipFile(path) as archive:
        names = [n for n in archive.namelist() if n.count("/") == 1]
        [pickled] = [name for name in names if name.endswith("/data.pkl")]
        reader = _Archive(archive, pickled.removesuffix("data.pkl"))
        with archive.open(pickled) as file:
            root = _Unpickler(file, reader).load()
        if not isinstance(root, _Module):
            raise pickle.UnpicklingError("it is no module")
        return dict(_tensors(root, reader, ""))


class _Module:
    """An object of a class of the archive: its attributes, and nothing that runs."""

    kind: tuple[str, str] = ("", "")

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, dict):
            raise pickle.UnpicklingError("a module of it restores itself with code")
        self.__dict__.update(state)


class _Archive:
    """The numbers and the text of classes of an archive."""

    def __init__(self, archive: zipfile.ZipFile, top: str):
        self._archive, self._top = archive, top

    def storage(self, kind: str, key: str, count: int) -> Tensor:
        """Return a storage's numbers, [count]."""
        data = bytearray(self._archive.read(f"{self._top}data/{key}"))
        dtype = DTYPES[kind]
        if len(data) != count * dtype.itemsize:
            raise ValueError(f"it has {len(data)} bytes for {count} numbers")
        return torch.frombuffer(data, dtype=dtype) if data else torch.empty(0).to(dtype)

    def tensors_of(self, module: str, name: str) -> list[str]:
        """Return which attributes of a class are parameters or buffers."""
        path = f"{self._top}code/{module.replace('.', '/')}.py"
        text = self._archive.read(path).decode()
        start = re.search(rf"^class {re.escape(name)}\(Module\):\n", text, re.M)
        if start is None:
            raise ValueError(f"it has no text of {name}")
        body = re.split(r"^class ", text[start.end() :], maxsplit=1, flags=re.M)[0]
        found: list[str] = []
        for listed in re.findall(
            r"^  __(?:parameters|buffers)__ = (\[.*\])$", body, re.M
        ):
            found += ast.literal_eval(listed)
        return found


class _Unpickler(pickle.Unpickler):
    """Makes modules and tensors, and refuses everything else."""

    def __init__(self, file: Any, archive: _Archive):
        super().__init__(file)
        self._archive = archive
        self._kinds: dict[tuple[str, str], type] = {}

    def find_class(self, module: str, name: str) -> Any:
        """Return what stands for a name, if it is one of those that tensors need."""
        if module == "__torch__" or module.startswith("__torch__."):
            kind = (module, name)
            if kind not in self._kinds:
                self._kinds[kind] = type("Module", (_Module,), {"kind": kind})
            return self._kinds[kind]
        if module == "torch" and name in DTYPES:
            return name
        allowed = {
            ("collections", "OrderedDict"): OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2"): _tensor,
            ("torch._utils", "_rebuild_parameter"): _parameter,
        }
        if module == "torch.jit._pickle":
            return list
        if (module, name) not in allowed:
            raise pickle.UnpicklingError(f"it holds {module}.{name}")
        return allowed[module, name]

    def persistent_load(self, pid: Any) -> Tensor:
        """Return a storage that the pickle points at."""
        if not (isinstance(pid, tuple) and len(pid) == 5 and pid[0] == "storage"):
            raise pickle.UnpicklingError("it points at something that is no storage")
        _, kind, key, _, count = pid
        return self._archive.storage(kind, str(key), int(count))


def _tensor(
    storage: Tensor, offset: int, size: Sequence[int], stride: Sequence[int], *_: Any
) -> Tensor:
    return storage.as_strided(size, stride, offset)


def _parameter(data: Tensor, *_: Any) -> Tensor:
    return data


def _tensors(
    module: _Module, archive: _Archive, prefix: str
) -> Iterator[tuple[str, Tensor]]:
    names = archive.tensors_of(*module.kind)
    for name, value in vars(module).items():
        if isinstance(value, _Module):
            yield from _tensors(value, archive, f"{prefix}{name}.")
        elif isinstance(value, Tensor) and name in names:
            yield prefix + name, value
