"""A killed training goes on where it was, to the same bits."""

import hashlib
import math
import os
import pickle
import signal
import subprocess
import sys
import zipfile
from collections import OrderedDict

import h5py
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from mlrpl.errors import UserError
from mlrpl.training.checkpoints import Checkpoint, fingerprint
from support import tiny
from support.trainings import run

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
from support.trainings import run
run(tiny.Files(*{tuple(vars(files).values())!r}), Path({str(folder)!r}), **{options!r})
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    assert (folder / "checkpoint.pt").exists()
    assert not (folder / "run.json").exists()


def contents(folder):
    with h5py.File(folder / "scores.h5") as file:
        scores = {name: file[name][()] for name in file if name != "validation"}
        held = file.get("validation", {})
        scores |= {f"validation/{name}": held[name][()] for name in held}
        scores |= dict(file.attrs)
    weights = load_file(folder / "weights.safetensors")
    return weights, scores, (folder / "history.csv").read_text()


@pytest.mark.parametrize("more", [{}, {"optimizer": "adamw", "validation": 0.4}])
@pytest.mark.parametrize("epoch", [1, 5])
def test_the_weights_are_those_of_an_undisturbed_training(
    files, tmp_path, capfd, more, epoch
):
    options = OPTIONS | more
    assert run(files, tmp_path / "whole", **options) == 0
    killed_after(files, tmp_path / "killed", epoch, **options)
    capfd.readouterr()
    assert run(files, tmp_path / "killed", **options) == 0
    assert f"going on after epoch {epoch}" in capfd.readouterr().err
    weights, scores, history = contents(tmp_path / "whole")
    assert ("validated" in scores) == ("validation" in more)
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
    assert "checkpoint.pt: of another training; beginning anew" in said
    assert run(files, tmp_path / "whole", **OPTIONS, weight_decay=0.01) == 0
    ours, theirs = (contents(tmp_path / name)[0] for name in ("run", "whole"))
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize("damage", ["weights", "optimizer", "progress", "truncated"])
def test_a_checkpoint_that_does_not_fit_blocks_no_retry(files, tmp_path, capfd, damage):
    killed_after(files, tmp_path / "run", 3, **OPTIONS)
    path = tmp_path / "run/checkpoint.pt"
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:-100])
    else:
        content = torch.load(path, weights_only=True)
        state = content["state"]
        if damage == "weights":
            name, *_ = state["method"]
            state["method"]["another"] = state["method"].pop(name)
        elif damage == "optimizer":
            state["optimizer"]["groups"].append([])
        else:
            del state["progress"]["best_map"]
        torch.save(content, path)
    capfd.readouterr()
    assert run(files, tmp_path / "run", **OPTIONS) == 0
    said = capfd.readouterr().err
    assert said.count("; beginning anew") == 1
    assert "going on" not in said
    assert run(files, tmp_path / "whole", **OPTIONS) == 0
    ours, theirs = (contents(tmp_path / name)[0] for name in ("run", "whole"))
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert not path.exists()


def saved(tmp_path, state=None):
    checkpoint = Checkpoint(tmp_path / "c.pt", "made of this", interval=0)
    checkpoint.offer(lambda: {"epoch": 3} if state is None else state)
    return checkpoint


def refuse(state):
    raise AssertionError("asked to take a state")


def one_line(checkpoint, capfd):
    """What was said of the file: one line, and what to do is not the user's."""
    said = capfd.readouterr()
    assert said.out == ""
    assert said.err.startswith(f"{checkpoint.path}: ")
    assert said.err.endswith("; beginning anew\n")
    assert said.err.count("\n") == 1
    assert "delete" not in said.err and "remove" not in said.err
    return said.err


def goes_on(checkpoint, capfd):
    """The next checkpoint takes the place of what was not of use."""
    checkpoint.took = 0.0  # or it would wait
    checkpoint.offer(lambda: {"epoch": 1})
    found = []
    assert checkpoint.restore(found.append)
    assert found == [{"epoch": 1}]
    assert capfd.readouterr().err == ""
    checkpoint.remove()
    assert not checkpoint.path.exists()


def test_a_state_is_given_as_it_was_saved(tmp_path, capfd):
    state = {"epoch": 3, "list": [None, 1.5, "a"], "tensor": torch.arange(3)}
    checkpoint, found = saved(tmp_path, state), []
    assert checkpoint.restore(found.append)
    assert torch.equal(found[0].pop("tensor"), state.pop("tensor"))
    assert found == [state]
    assert capfd.readouterr().err == ""


def test_without_a_file_nothing_is_said(tmp_path, capfd):
    checkpoint = Checkpoint(tmp_path / "none/c.pt", "made of this")
    assert not checkpoint.restore(refuse)
    assert capfd.readouterr().err == ""


def old_pickle(path):
    """What a version of torch that saves other classes might leave."""
    with open(path, "wb") as file:
        pickle.dump(
            {"made_of": "made of this", "state": OrderedDict, "x": Checkpoint}, file
        )


def cut(share):
    def damage(path):
        whole = path.read_bytes()
        path.write_bytes(whole[: int(share * len(whole))])

    return damage


def flipped(path):
    whole = bytearray(path.read_bytes())
    place = whole.index(b"made_of") - 8
    whole[place : place + 4] = b"\xff\xfe\xfd\xfc"
    path.write_bytes(whole)


DAMAGES = {
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_bytes(b"no checkpoint"),
    "truncated to half": cut(0.5),
    "truncated a little": cut(0.99),
    "bytes within": flipped,
    "another pickle": old_pickle,
    "classes of another version": lambda path: torch.save(Checkpoint, path),
    "a list": lambda path: torch.save([1, 2], path),
    "a tensor": lambda path: torch.save(torch.ones(2), path),
    "no state": lambda path: torch.save({"made_of": "made of this"}, path),
    "no fingerprint": lambda path: torch.save({"state": {}}, path),
    "an archive": lambda path: zipfile.ZipFile(path, "w").close(),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_checkpoint_is_said_and_replaced(tmp_path, capfd, name):
    checkpoint = saved(tmp_path)
    DAMAGES[name](checkpoint.path)
    assert not checkpoint.restore(refuse)
    assert ": unreadable (" in one_line(checkpoint, capfd)
    goes_on(checkpoint, capfd)


def test_a_folder_in_its_place_is_left_there(tmp_path, capfd):
    checkpoint = Checkpoint(tmp_path / "c.pt", "made of this", interval=0)
    (checkpoint.path / "somebody's").mkdir(parents=True)
    assert not checkpoint.restore(refuse)
    one_line(checkpoint, capfd)
    checkpoint.offer(lambda: {"epoch": 1})
    checkpoint.remove()
    assert [path.name for path in tmp_path.rglob("*")] == ["c.pt", "somebody's"]


def test_a_link_to_nowhere_is_replaced(tmp_path, capfd):
    checkpoint = Checkpoint(tmp_path / "c.pt", "made of this", interval=0)
    checkpoint.path.symlink_to(tmp_path / "nowhere")
    assert not checkpoint.restore(refuse)
    one_line(checkpoint, capfd)
    goes_on(checkpoint, capfd)


def test_a_checkpoint_of_another_training_is_said_and_replaced(tmp_path, capfd):
    saved(tmp_path)
    checkpoint = Checkpoint(tmp_path / "c.pt", "made of that", interval=0)
    assert not checkpoint.restore(refuse)
    assert "of another training" in one_line(checkpoint, capfd)
    goes_on(checkpoint, capfd)


def raising(error):
    def put(state):
        raise error

    return put


MODEL = torch.nn.Linear(2, 1)
PUTS = {
    "another model's names": lambda state: MODEL.load_state_dict(
        {"scale": torch.ones(2)}
    ),
    "other shapes": lambda state: MODEL.load_state_dict(
        {"weight": torch.ones(1, 3), "bias": torch.ones(1)}
    ),
    "a name too few": lambda state: state["history"],
    "another kind": lambda state: state["epoch"][0],
    "a method that is not there": lambda state: state["epoch"].numpy(),
    "an end too early": lambda state: list(state)[5],
    "a value": raising(ValueError("momentum")),
}


@pytest.mark.parametrize("name", PUTS)
def test_a_state_that_does_not_fit_is_said_and_replaced(tmp_path, capfd, name):
    checkpoint = saved(tmp_path)
    assert not checkpoint.restore(PUTS[name])
    assert ": does not fit (" in one_line(checkpoint, capfd)
    goes_on(checkpoint, capfd)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), UserError("lr"), OSError()])
def test_what_is_no_sign_of_an_unfit_state_is_raised(tmp_path, error):
    with pytest.raises(type(error)):
        saved(tmp_path).restore(raising(error))


def test_checkpoints_take_a_fiftieth_of_the_time_at_most(tmp_path, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr("mlrpl.training.checkpoints.time.monotonic", lambda: clock[0])
    monkeypatch.setattr("mlrpl.training.checkpoints.COPY_INTERVAL", math.inf)
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


def test_the_fingerprint_reads_large_files_to_their_end(tmp_path):
    path, size = tmp_path / "file", 3 * 2**20 + 1
    path.write_bytes(bytes(size))
    first = fingerprint({}, [path])
    for place in (0, size // 2, size - 1):
        content = bytearray(size)
        content[place] = 1
        path.write_bytes(content)
        assert fingerprint({}, [path]) != first
    content = hashlib.sha256(bytes(size)).digest()
    assert first == hashlib.sha256(b"{}" + content).hexdigest()
