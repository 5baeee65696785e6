"""Which device a command gets."""

import os
import subprocess
import sys

import pytest
import torch

from mlrpl.errors import UserError
from mlrpl.runtime import device


@pytest.mark.parametrize(
    ("capability", "precision"),
    [
        ((6, 1), "fp32"),
        ((7, 0), "fp32"),
        ((7, 5), "fp32"),
        ((8, 0), "bf16"),
        ((8, 9), "bf16"),
        ((9, 0), "bf16"),
        ((12, 0), "bf16"),
    ],
)
def test_auto_is_bf16_where_the_card_has_it(capability, precision, monkeypatch):
    card = torch.device("cuda", 0)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
    assert device.precision_on(card, "auto") == precision
    assert device.precision_on(card, "fp32") == "fp32"
    assert device.precision_on(card, "bf16") == "bf16"


def test_a_cpu_computes_in_fp32_unless_told_otherwise(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_capability", None)
    assert device.precision_on(torch.device("cpu"), "auto") == "fp32"
    assert device.precision_on(torch.device("cpu"), "bf16") == "bf16"


def test_a_device_has_a_name(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda card: f"card {card}")
    assert device.device_name(torch.device("cpu")) == "cpu"
    assert device.device_name(torch.device("cuda", 1)) == "card cuda:1"


def test_cuda_without_a_gpu_is_one_line(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match=r"^device: cuda: no CUDA device is visible; "):
        device.choose_device("cuda")
    assert device.choose_device("auto") == torch.device("cpu")


@pytest.mark.parametrize("visible", ["", " ", "-1"])
def test_cards_that_are_hidden_are_told(monkeypatch, visible):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    with pytest.raises(UserError, match=r"visible \(CUDA_VISIBLE_DEVICES hides all\);"):
        device.choose_device("cuda")
    assert device.choose_device("auto") == torch.device("cpu")


CHOOSE = """\
import sys
from types import SimpleNamespace
import torch
torch.cuda.is_available = lambda: True
torch.cuda.device_count = lambda: 1
torch.cuda.get_device_properties = lambda number: SimpleNamespace(uuid="card")
torch.cuda.set_device = lambda device: None
from mlrpl.runtime.device import choose_device
assert choose_device("cuda", deterministic=True) == torch.device("cuda", 0)
assert torch.are_deterministic_algorithms_enabled()
assert not torch.is_deterministic_algorithms_warn_only_enabled()
assert not torch.utils.deterministic.fill_uninitialized_memory
print([name for name in ("triton", "torch._dynamo") if name in sys.modules])
"""


def test_the_same_bits_need_no_triton(tmp_path, repository):
    (tmp_path / "triton.py").write_text("raise RuntimeError('of another version')\n")
    path = os.pathsep.join([str(tmp_path), str(repository / "workflow")])
    done = subprocess.run(
        [sys.executable, "-c", CHOOSE],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr
