"""Features in the GPU's memory, the host's, or on the disk: the same batches."""

import json

import numpy as np
import pytest
import torch

from mlrpl.__main__ import main
from mlrpl.runtime import memory
from mlrpl.training.batches import Split
from mlrpl.training.feature_cache import FeatureCache
from support import tiny

# With a CPU as the device, too: what goes onto it, piece by piece, is the same code.
PLACES = [
    ("host", "cpu"),
    ("disk", "cpu"),
    ("device", "cpu"),
    *(
        pytest.param(place, "cuda", marks=pytest.mark.gpu)
        for place in ("host", "disk", "device")
    ),
]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return tiny.write_files(tmp_path_factory.mktemp("files"))


def batches(split, how):
    made = split.batches(7) if how is None else split.shuffled(7, *how)
    return [(batch.features.cpu(), batch.labels.cpu()) for batch in made]


@pytest.mark.parametrize(("place", "device"), PLACES)
@pytest.mark.parametrize("reads", ["map", "global", "max"])
@pytest.mark.parametrize("how", [None, (0, 1), (3, 2)])
def test_batches_are_the_caches_rows_wherever_they_lie(
    files, place, device, reads, how
):
    cache = FeatureCache(files.train_features)
    labels = np.load(files.known)
    split = Split(cache, labels, reads, torch.device(device), place=place)
    views = np.stack([cache.read(reads, view) for view in range(len(cache.views))])
    order, drawn = np.arange(len(labels)), np.zeros(len(labels), int)
    if how is not None:
        random = np.random.default_rng(how)
        order = random.permutation(len(labels))
        drawn = random.integers(len(views), size=len(labels))
    found = batches(split, how)
    assert [len(labels) for _, labels in found] == [7] * 8 + [4]
    features = np.concatenate([features.numpy() for features, _ in found])
    assert np.array_equal(features, views[drawn, order].astype(np.float32))
    assert np.array_equal(np.concatenate([y.numpy() for _, y in found]), labels[order])


def test_a_training_from_the_disk_makes_the_same_bytes(files, tmp_path, monkeypatch):
    options = {"joint_dim": 16, "n_ctx": 4, "batch_size": 16, "epochs": 2, "scale": 10}
    setting = ["--dataset", "tiny", "--method", "sarl", "--prop", "0.5", "--seed", "0"]
    setting += ["--options", json.dumps(options), *files.arguments()]
    for place in ("host", "disk"):
        monkeypatch.setattr(memory, "place", lambda *_, place=place: place)
        folder = str(tmp_path / place)
        assert main(["train", *setting, "--device", "cpu", "--output-dir", folder]) == 0
    for file in ("weights.safetensors", "scores.h5", "history.csv"):
        host, disk = ((tmp_path / p / file).read_bytes() for p in ("host", "disk"))
        assert host == disk


def test_a_loop_that_ends_early_ends_the_reading(files):
    split = Split(
        FeatureCache(files.train_features),
        np.load(files.known),
        "map",
        torch.device("cpu"),
        place="disk",
    )
    for number, _ in enumerate(split.shuffled(7, 0, 0)):
        if number == 1:
            break
    assert len(batches(split, (0, 1))) == 9
