"""A training that is told to stop saves what it has, and goes on to the same bits."""

import os
import signal
import subprocess
import sys
import threading

import pytest
import torch
from safetensors.torch import load_file

from mlrpl.training import checkpoints
from mlrpl.training.checkpoints import Checkpoint
from support import tiny
from support.trainings import arguments, run
from support.workflow_tree import copy_tree, snakemake

OPTIONS = {"epochs": 8, "eval_every": 2}
# Carries out `mlrpl` but waits in epoch 4, as a long one would, until it is stopped.
STOPPED = """\
import sys, time
from mlrpl.training import checkpoints, loop
checkpoints.COPY_INTERVAL = checkpoints.SHARE = 0
rates = loop.rates
def slow(options, epoch, steps):
    if epoch == 3:
        print("in epoch 4", flush=True)
        time.sleep(60)
    return rates(options, epoch, steps)
loop.rates = slow
from mlrpl.__main__ import main
sys.exit(main())
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return tiny.write_files(tmp_path_factory.mktemp("files"))


@pytest.fixture(scope="module")
def whole(files, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "run"
    assert run(files, folder, **OPTIONS) == 0
    return folder


def same(one, other):
    a, b = (load_file(folder / "weights.safetensors") for folder in (one, other))
    assert set(a) == set(b) and all(torch.equal(a[name], b[name]) for name in a)
    assert (one / "history.csv").read_text() == (other / "history.csv").read_text()
    assert (one / "scores.h5").read_bytes() == (other / "scores.h5").read_bytes()


def begun(files, folder, repository):
    """Start a training; return its process when it is in epoch 4."""
    process = subprocess.Popen(
        [sys.executable, "-c", STOPPED, *arguments(files, folder, **OPTIONS)],
        env={**os.environ, "PYTHONPATH": str(repository / "workflow")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "in epoch 4\n"
    return process


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)]
)
def test_a_stopped_training_goes_on_to_the_same_bits(
    files, whole, tmp_path, repository, capfd, number, status
):
    folder = tmp_path / "run"
    process = begun(files, folder, repository)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == status
    assert f"{folder}/checkpoint.pt: saved; the same command goes on from" in said
    assert "Traceback" not in said
    left = {path.name for path in folder.iterdir()}
    assert left == {"checkpoint.pt", "history.csv"}
    assert run(files, folder, **OPTIONS) == 0
    assert "going on after epoch 3" in capfd.readouterr().err
    same(folder, whole)
    assert {p.name for p in folder.iterdir()} == {p.name for p in whole.iterdir()}


def broken_off(checkpoint):
    with pytest.raises(SystemExit), checkpoint.saved_when_stopped():
        sys.exit(143)


def test_what_is_saved_is_what_was_offered_not_what_came_after(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "COPY_INTERVAL", 0)
    monkeypatch.setattr(checkpoints, "SHARE", 0)
    checkpoint = Checkpoint(tmp_path / "c.pt", "made of this")
    weights, found = torch.zeros(3), []
    checkpoint.offer(lambda: {"weights": weights, "list": [weights, 3, "x"]})
    weights += 1  # as the next epoch does, in place
    broken_off(checkpoint)
    assert checkpoint.restore(found.append)
    assert torch.equal(found[0]["weights"], torch.zeros(3))
    assert found[0]["list"][1:] == [3, "x"]


def test_copies_are_rare_enough_to_cost_little(tmp_path, monkeypatch):
    times = iter([0.0, 0.5, 1.2, 1.3, 1.9, 2.4, 3.0])
    monkeypatch.setattr(checkpoints.time, "monotonic", lambda: next(times))
    checkpoint = Checkpoint(tmp_path / "c.pt", "made of this")
    asked = []
    for epoch in range(4):  # at 0.5, 1.2 (until 1.3), 1.9, and 2.4 (until 3.0)
        checkpoint.offer(lambda epoch=epoch: asked.append(epoch) or {})
    assert asked == [1]  # and the next only 50 times 0.1 s after 1.3


def test_a_signal_while_it_is_saved_loses_nothing(tmp_path, monkeypatch):
    """The one that saves now and then is broken off; the second is let through."""
    checkpoint = Checkpoint(tmp_path / "c.pt", "made of this", interval=0)
    monkeypatch.setattr(checkpoints, "SHARE", 0)
    save, calls = torch.save, []

    def broken(content, file):
        calls.append(content)
        if len(calls) == 1:
            file.write(b"half of it")
            sys.exit(143)
        os.kill(os.getpid(), signal.SIGTERM)  # a second one: nothing happens
        save(content, file)

    monkeypatch.setattr(torch, "save", broken)
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit), checkpoint.saved_when_stopped():
        checkpoint.offer(lambda: {"epoch": 7})
    assert signal.getsignal(signal.SIGTERM) == before
    assert [path.name for path in tmp_path.iterdir()] == ["c.pt"]
    assert checkpoint.restore(lambda state: calls.append(state["epoch"]))
    assert calls[-1] == 7


def test_what_fails_by_itself_saves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "COPY_INTERVAL", 0)
    checkpoint = Checkpoint(tmp_path / "c.pt", "made of this")
    checkpoint.offer(lambda: {"epoch": 1})
    with pytest.raises(ValueError), checkpoint.saved_when_stopped():
        raise ValueError("a defect")
    assert not list(tmp_path.iterdir())


def test_outside_of_the_main_thread_it_is_saved_as_well(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "COPY_INTERVAL", 0)
    checkpoint = Checkpoint(tmp_path / "c.pt", "made of this")
    checkpoint.offer(lambda: {"epoch": 1})
    thread = threading.Thread(target=broken_off, args=(checkpoint,))
    thread.start()
    thread.join()
    assert (tmp_path / "c.pt").is_file()


# The stand-in's training: stopped at its first try, with what a real one then leaves.
RETRIED = """\
import sys
from pathlib import Path
if sys.argv[1] == "train":
    folder = Path(sys.argv[sys.argv.index("--output-dir") + 1])
    if not (folder / "checkpoint.pt").exists():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "checkpoint.pt").write_text("state")
        (folder / "history.csv").write_text("half made")
        sys.exit(143)
    assert not (folder / "history.csv").exists()
    (folder / "checkpoint.pt").unlink()
"""


@pytest.mark.workflow
def test_snakemakes_next_try_finds_the_checkpoint(repository, tmp_path):
    """Snakemake removes the outputs of a failed job, and nothing else."""
    folder = copy_tree(repository, tmp_path / "tree", stand_in=True)
    program = folder / "workflow/mlrpl/__main__.py"
    program.write_text(RETRIED + program.read_text())
    place = "results/runs/voc2007/sarl/prop=0.5/seed=0"
    inputs = ["data/voc2007/known/prop=0.5/seed=0.npy", "clip/voc2007.safetensors"]
    inputs += [f"features/voc2007/{s}/shards.json" for s in ("train", "test")]
    inputs += [f"data/voc2007/{name}" for name in ("train.h5", "test.h5", "glove.npy")]
    for name in inputs:
        (folder / "results" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "results" / name).write_text(name)
    only = ("--allowed-rules", "train", "--cores", "1", "--retries", "1")
    done = snakemake(folder, f"{place}/run.json", *only)
    assert done.returncode == 0, done.stdout
    assert "Trying to restart job" in done.stdout
    assert {path.name for path in (folder / place).iterdir()} == {
        *("weights.safetensors", "history.csv", "scores.h5", "run.json")
    }
