"""A checkpoint serves a training of the same inputs alone."""

import dataclasses
import json
import os

import h5py
import numpy as np
import pytest
from safetensors import safe_open
from safetensors.torch import save_file

from mlrpl.config.options import Options
from mlrpl.data.index import Index
from mlrpl.training import run as runs
from mlrpl.training.checkpoints import Checkpoint
from support import tiny
from support.trainings import run, scoped

SETTING = {"dataset": "tiny", "method": "sarl", "prop": 0.5, "seed": 0}


@pytest.fixture
def setting(tmp_path):
    files = tiny.write_files(tmp_path)
    context = tmp_path / "context.json"
    content = {"encoder": "tiny", "text": "a_photo", "tokens": [5, 9, 2]}
    context.write_text(json.dumps(content))
    options = Options.from_dict(scoped(context_init="a_photo"))
    return runs.Setting(**SETTING, **vars(files), options=options, context=str(context))


def fingerprint(setting, computed=("cpu", 1)):
    return runs.fingerprint_of(setting, runs.load(setting), list(computed))


def other_class_texts(setting):
    with safe_open(setting.clip, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        metadata = file.metadata()
    tensors["class_tokens"][0, 0] += 1
    save_file(tensors, setting.clip, metadata)


def other_context(setting):
    content = {"encoder": "tiny", "text": "a_photo", "tokens": [5, 9, 3]}
    with open(setting.context, "w") as file:
        json.dump(content, file)


def other_vectors(setting):
    np.save(setting.glove, np.load(setting.glove) + 1)


def other_masks(setting):
    """One label is known no more."""
    known = np.load(setting.known)
    known[tuple(np.argwhere(known)[0])] = 0
    np.save(setting.known, known)


def other_features(setting):
    """Of the same description: only the numbers differ."""
    with h5py.File(setting.train_features[1], "r+") as file:
        file["map"][0, 0, 0, 0] += 1


def other_test_labels(setting):
    index = Index.load(setting.test_index)
    labels = -index.labels
    Index(**{**vars(index), "labels": labels}).save(setting.test_index)


CHANGES = (
    other_class_texts,
    other_context,
    other_vectors,
    other_masks,
    other_features,
    other_test_labels,
)


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
@pytest.mark.parametrize("large", [False, True])
def test_every_input_counts(setting, monkeypatch, change, large):
    if large:  # features are then known by their sizes and times
        monkeypatch.setattr(runs, "READ_WHOLE", 0)
    before = fingerprint(setting)
    assert before == fingerprint(setting)
    change(setting)
    if large:
        os.utime(setting.train_features[1], ns=(1, 1))
    assert before != fingerprint(setting)


def test_options_code_and_machine_count(setting, monkeypatch):
    before = fingerprint(setting)
    options = Options.from_dict(scoped(context_init="a_photo", gamma_neg=4))
    others = {
        fingerprint(dataclasses.replace(setting, options=options)),
        fingerprint(dataclasses.replace(setting, seed=1)),
        fingerprint(setting, ("cpu", 2)),
        fingerprint(setting, ("A card", 1)),
    }
    monkeypatch.setattr(runs.dependencies, "code_hash", lambda *modules: "other")
    others.add(fingerprint(setting))
    assert len(others | {before}) == 6


def test_other_class_texts_after_a_kill_begin_anew(tmp_path, monkeypatch, capfd):
    """The whole way: what ends is a training of the new texts from its start."""
    files = tiny.write_files(tmp_path)
    monkeypatch.setattr(Checkpoint.__init__, "__defaults__", (0.0,))
    monkeypatch.setattr("mlrpl.training.checkpoints.SHARE", 0.0)
    monkeypatch.setattr(runs, "write_run", lambda *args: (_ for _ in ()).throw(OSError))
    assert run(files, tmp_path / "killed") == 1
    assert (tmp_path / "killed/checkpoint.pt").exists()
    monkeypatch.undo()
    other_class_texts(files)
    capfd.readouterr()
    assert run(files, tmp_path / "killed") == 0
    assert "beginning anew" in capfd.readouterr().err
    assert run(files, tmp_path / "whole") == 0
    weights = [
        (tmp_path / name / "weights.safetensors").read_bytes()
        for name in ("killed", "whole")
    ]
    assert weights[0] == weights[1]
