"""Checkpoints as programs leave them: wrapped, pointed at, as archives with code."""

import os
import zipfile

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mlrpl.encoder.checkpoint import read_checkpoint
from mlrpl.errors import UserError
from support.data_files import fails

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning")
STATE = {"visual.weight": torch.arange(6.0).reshape(2, 3), "scale": torch.tensor(2.0)}


def save(path, content):
    torch.save(content, path)
    return path


def same(found, expected=STATE):
    assert list(found) == list(expected)
    for name, tensor in expected.items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor)


@pytest.mark.parametrize(
    "wrapper",
    [
        *("module.", "_orig_mod.", "model.", "module._orig_mod.", "_orig_mod.module."),
        *("model._orig_mod.", "model.module._orig_mod."),
    ],
)
@pytest.mark.parametrize("nested", [False, True])
def test_what_wraps_every_name_is_taken_off(tmp_path, wrapper, nested):
    content = {wrapper + name: tensor for name, tensor in STATE.items()}
    content = {"state_dict": content, "epoch": 3} if nested else content
    same(read_checkpoint(save(tmp_path / "c.pt", content)))


def test_names_of_which_some_are_wrapped_stay(tmp_path):
    content = {"module.weight": torch.ones(1), "modular.weight": torch.ones(1)}
    same(read_checkpoint(save(tmp_path / "c.pt", content)), content)
    content = {"visual.a": torch.ones(1), "visual.b": torch.ones(1)}
    same(read_checkpoint(save(tmp_path / "c.pt", content)), content)
    content = {"module": torch.ones(1)}
    same(read_checkpoint(save(tmp_path / "c.pt", content)), content)


REFUSED = {
    "a number of numpy": ({**STATE, "best": np.float64(1)}, "it holds numpy."),
    "a class": ({"a": nn.Linear}, "it holds torch.nn.modules.linear.Linear"),
    "numbers for names": ({0: torch.ones(1)}, "is not a state dict"),
    "a bare tensor": (torch.ones(2), "is not a state dict"),
    "nothing": ({}, "is not a state dict"),
    "a number among tensors": ({**STATE, "epoch": 3}, "is not a state dict"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_other_content_is_one_line_without_advice_to_run_code(tmp_path, name):
    content, expected = REFUSED[name]
    said = fails(read_checkpoint, save(tmp_path / "c.pt", content), match=r"c\.pt: is ")
    assert expected in said
    for words in ("weights_only", "\x1b", "trust"):
        assert words not in said


@pytest.mark.parametrize(
    "data", [b"", b"text", b"\x80\x05.", b"PK\x03\x04cut", b"\x08\0\0\0\0\0\0\0{", None]
)
def test_bytes_that_are_no_checkpoint_are_one_line(tmp_path, data):
    whole = save(tmp_path / "w.pt", STATE).read_bytes()
    path = tmp_path / "c.pt"
    path.write_bytes(whole[: len(whole) // 2] if data is None else data)
    said = fails(read_checkpoint, path, match=r"c\.pt: is ")
    assert "weights_only" not in said and "\x1b" not in said


def test_a_pointer_is_called_one(tmp_path):
    path = tmp_path / "c.safetensors"
    path.write_text(
        "version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 9\n"
    )
    fails(
        read_checkpoint, path, match=r"is a pointer of Git LFS .*; get .*git lfs pull"
    )


def test_a_file_that_one_may_not_read_is_not_called_damaged(tmp_path, monkeypatch):
    path = save(tmp_path / "c.pt", STATE)

    def refuse(*args, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(path), "open", refuse)
    with pytest.raises(UserError, match=r"cannot be read \(Permission denied\); give"):
        read_checkpoint(path)


class Block(nn.Module):
    """A parameter, buffers, an attribute that is none, and modules in a list."""

    mask: Tensor

    def __init__(self):
        super().__init__()
        self.parts = nn.ModuleList([nn.Linear(3, 2), nn.BatchNorm1d(2)])
        self.scale = nn.Parameter(torch.tensor(0.5, dtype=torch.float16))
        self.register_buffer("size", torch.tensor(224))
        self.shared = self.parts[0]
        self.mask = torch.ones(4)

    def forward(self, x: Tensor) -> Tensor:
        for part in self.parts:
            x = part(x)
        return x * self.scale + self.mask.sum()


@pytest.mark.parametrize("traced", [False, True])
def test_an_archive_with_code_has_the_tensors_that_torch_finds_in_it(tmp_path, traced):
    block = Block().eval()
    script = (
        torch.jit.trace(block, torch.ones(2, 3)) if traced else torch.jit.script(block)
    )
    script.save(str(tmp_path / "c.pt"))
    expected = torch.jit.load(str(tmp_path / "c.pt")).state_dict()
    found = read_checkpoint(tmp_path / "c.pt")
    assert "size" in found and "mask" not in found
    same(found, dict(expected))


class Tempting(nn.Module):
    """A module that writes a file when torch loads it."""

    def __init__(self, path: str):
        super().__init__()
        self.path = path
        self.data = torch.ones(8)

    @torch.jit.export
    def __getstate__(self):
        return self.path

    @torch.jit.export
    def __setstate__(self, path: str):
        self.path = path
        self.data = torch.from_file(path, shared=True, size=8)
        self.training = False

    def forward(self, x: Tensor) -> Tensor:
        return x


def test_code_in_an_archive_is_not_run(tmp_path):
    torch.jit.script(Tempting(str(tmp_path / "written"))).save(str(tmp_path / "c.pt"))
    fails(read_checkpoint, tmp_path / "c.pt", match="restores itself with code")
    assert not (tmp_path / "written").exists()
    torch.jit.load(str(tmp_path / "c.pt"))  # what would have been
    assert (tmp_path / "written").exists()


def rewritten(path, name, change):
    with zipfile.ZipFile(path) as old:
        parts = {entry: old.read(entry) for entry in old.namelist()}
    with zipfile.ZipFile(path, "w") as new:
        for entry, data in parts.items():
            new.writestr(entry, change(data) if entry.endswith(name) else data)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("/data/0", lambda data: data[:-1]),
        ("/data.pkl", lambda data: data[: len(data) // 2]),
        ("/data.pkl", lambda data: b"cos\nsystem\n(S'touch written'\ntR."),
        ("/data.pkl", lambda data: b"cbuiltins\neval\n(S'1'\ntR."),
        ("test_checkpoints.py", lambda data: b""),
    ],
)
def test_damaged_archives_are_one_line(tmp_path, monkeypatch, name, change):
    monkeypatch.chdir(tmp_path)
    torch.jit.script(Block()).save("c.pt")
    rewritten("c.pt", name, change)
    fails(read_checkpoint, "c.pt", match=r"^c\.pt: is ")
    assert not os.path.exists("written")
