"""A killed training goes on where it was, to the same bits."""

import os
import signal
import subprocess
import sys

import h5py
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from support import tiny
from mlrpl.training.checkpoints import Checkpoint, fingerprint
from test_training import run

OPTIONS = {"epochs": 8, "eval_every": 2}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return tiny.write_files(tmp_path_factory.mktemp("files"))


def killed_after(files, folder, epoch, **options):
    """Train in a process that checkpoints each epoch and dies after one of them."""
    program = f"""
import os, signal, sys
sys.path = {sys.path}
from mlrpl.training import checkpoints
checkpoints.INTERVAL = checkpoints.SHARE = 0
offer = checkpoints.Checkpoint.offer
def counted(self, state):
    self.interval = 0
    offer(self, state)
    counted.number += 1
    if counted.number == {epoch}:
        os.kill(os.getpid(), signal.SIGKILL)
counted.number = 0
checkpoints.Checkpoint.offer = counted
from pathlib import Path
from support import tiny
from test_training import run
run(tiny.Files(*{tuple(vars(files).values())!r}), Path({str(folder)!r}), **{options!r})
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    assert (folder / "checkpoint.pt").exists()
    assert not (folder / "run.json").exists()


def contents(folder):
    with h5py.File(folder / "scores.h5") as file:
        scores = {name: file[name][()] for name in ("last", "best")}
        scores["best_epoch"] = file.attrs["epoch_best"]
    weights = load_file(folder / "weights.safetensors")
    return weights, scores, (folder / "history.csv").read_text()


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("epoch", [1, 5])
def test_the_weights_are_those_of_an_undisturbed_training(
    files, tmp_path, capfd, optimizer, epoch
):
    options = OPTIONS | {"optimizer": optimizer}
    assert run(files, tmp_path / "whole", **options) == 0
    killed_after(files, tmp_path / "killed", epoch, **options)
    capfd.readouterr()
    assert run(files, tmp_path / "killed", **options) == 0
    assert f"going on after epoch {epoch}" in capfd.readouterr().err
    weights, scores, history = contents(tmp_path / "whole")
    again = contents(tmp_path / "killed")
    assert set(weights) == set(again[0])
    assert all(torch.equal(weights[name], again[0][name]) for name in weights)
    for name, value in scores.items():
        np.testing.assert_array_equal(value, again[1][name])
    assert history == again[2]
    assert {path.name for path in (tmp_path / "killed").iterdir()} == {
        path.name for path in (tmp_path / "whole").iterdir()
    }
    assert not (tmp_path / "killed/checkpoint.pt").exists()


def test_a_checkpoint_of_other_options_is_not_used(files, tmp_path, capfd):
    killed_after(files, tmp_path / "run", 3, **OPTIONS)
    assert run(files, tmp_path / "run", **OPTIONS, weight_decay=0.01) == 0
    said = capfd.readouterr().err
    assert "of another training, or damaged; beginning anew" in said
    assert run(files, tmp_path / "whole", **OPTIONS, weight_decay=0.01) == 0
    ours, theirs = (contents(tmp_path / name)[0] for name in ("run", "whole"))
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize("damage", [b"", b"no checkpoint", None])
def test_a_damaged_checkpoint_is_said_and_left(tmp_path, capsys, damage):
    checkpoint = Checkpoint(tmp_path / "c.pt", "made of this", interval=0)
    checkpoint.offer(lambda: {"epoch": 3})
    assert checkpoint.load() == {"epoch": 3}
    whole = checkpoint.path.read_bytes()
    checkpoint.path.write_bytes(whole[: len(whole) // 2] if damage is None else damage)
    assert checkpoint.load() is None
    assert "damaged" in capsys.readouterr().err


def test_checkpoints_take_a_fiftieth_of_the_time_at_most(tmp_path, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr("mlrpl.training.checkpoints.time.monotonic", lambda: clock[0])
    checkpoint = Checkpoint(tmp_path / "c.pt", "x", interval=10)
    made = []

    def state():
        made.append(clock[0])
        clock[0] += 0.5  # what it takes to write
        return {}

    for _ in range(1000):
        clock[0] += 1
        checkpoint.offer(state)
    assert made[0] == 110
    assert set(np.diff(made)) == {25.5}  # 50 x 0.5 s, in steps of 1 s, and 0.5 s
    assert 0.5 * len(made) < 0.02 * (clock[0] - 100)


def test_the_fingerprint_tells_values_and_contents_apart(tmp_path):
    path = tmp_path / "file"
    path.write_text("a")
    first = fingerprint({"lr": 0.1}, [path])
    assert fingerprint({"lr": 0.1}, [path]) == first
    assert fingerprint({"lr": 0.2}, [path]) != first
    os.utime(path, (1, 1))
    assert fingerprint({"lr": 0.1}, [path]) == first
    path.write_text("b")
    assert fingerprint({"lr": 0.1}, [path]) != first
