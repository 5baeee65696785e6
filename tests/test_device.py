"""Which device a command gets."""

import os
import subprocess
import sys

import pytest
import torch

from mlrpl import device
from mlrpl.errors import UserError

HOLD = """\
import sys
from mlrpl.device import claim
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


def test_cuda_without_a_gpu_is_one_line(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match=r"^device: cuda: no CUDA device is visible; "):
        device.choose_device("cuda")
    assert device.choose_device("auto") == torch.device("cpu")
