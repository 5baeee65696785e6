"""Which device a command gets."""

import getpass
import os
import pwd
import subprocess
import sys

import pytest
import torch

from mlrpl.errors import UserError
from mlrpl.runtime import device

HOLD = """\
import sys
from mlrpl.runtime.device import claim
print(claim(3, sys.argv[1]), flush=True)
input()
"""


def holder(folder, repository, **environment):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)],
        env={**os.environ, "PYTHONPATH": str(repository / "workflow"), **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    return process, int(process.stdout.readline())


def test_processes_share_out_the_gpus(tmp_path, repository):
    running = [holder(tmp_path, repository) for _ in range(5)]
    assert [number for _, number in running] == [0, 1, 2, 0, 1]
    process, _ = running.pop(2)
    process.kill()  # a lock ends with its process, however that ends
    process.wait()
    running.append(holder(tmp_path, repository))
    assert running[-1][1] == 2
    for process, _ in running:
        process.communicate("\n", timeout=30)


def test_gpus_are_told_apart_by_what_is_visible(tmp_path, repository):
    first, number = holder(tmp_path, repository, CUDA_VISIBLE_DEVICES="4,5,6")
    assert number == 0
    second, number = holder(tmp_path, repository, CUDA_VISIBLE_DEVICES="3,4,5")
    assert number == 0
    third, number = holder(tmp_path, repository, CUDA_VISIBLE_DEVICES="3,4,5")
    assert number == 2  # 3 and 4 are held
    for process in (first, second, third):
        process.communicate("\n", timeout=30)


def test_one_gpu_needs_no_lock(tmp_path):
    assert device.claim(1, tmp_path) == 0
    assert not list(tmp_path.iterdir())


def test_a_user_without_a_name_gets_a_gpu(tmp_path, monkeypatch):
    """In a container a process may have a number that no user of it has."""

    def nobody(*_):
        raise KeyError("getpwuid(): uid not found: 12345")

    monkeypatch.setattr(os, "getuid", lambda: 12345)
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises((KeyError, OSError)):
        getpass.getuser()
    monkeypatch.setattr(device, "_held", [])
    assert [device.claim(2, tmp_path) for _ in range(3)] == [0, 1, 0]
    assert all("12345" in path.name for path in tmp_path.iterdir())


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


CHOOSE = """\
import sys
import torch
torch.cuda.is_available = lambda: True
torch.cuda.device_count = lambda: 1
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
