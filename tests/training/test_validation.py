"""The validation split: who is held out, and what is made of it."""

import csv
import json

import h5py
import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from mlrpl.data.index import Index
from mlrpl.errors import UserError
from mlrpl.evaluation.average_precision import mean_average_precision
from mlrpl.methods.cooccurrence import conditional
from mlrpl.training import loop
from mlrpl.training.feature_cache import FeatureCache
from mlrpl.training.validation_split import divided, held_out
from support import tiny
from support.trainings import make, run, train_quietly


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return tiny.write_files(tmp_path_factory.mktemp("files"), views=2)


def history(folder):
    with (folder / "history.csv").open() as file:
        return list(csv.DictReader(file))


def test_the_draw_depends_on_the_seed_alone():
    rows = held_out(1000, 0.2, seed=3)
    assert len(rows) == 200 and (np.diff(rows) > 0).all()
    assert np.array_equal(rows, held_out(1000, 0.2, seed=3))
    assert not np.array_equal(rows, held_out(1000, 0.2, seed=4))
    # More are held out: the same ones, and others.
    assert set(rows) < set(held_out(1000, 0.3, seed=3))
    assert len(held_out(1000, 0, seed=3)) == 0


@pytest.mark.parametrize("place", ["host", "disk"])
def test_a_part_has_the_images_of_the_whole(files, place):
    known = np.load(files.known)
    whole = loop.Split(
        *(FeatureCache(files.train_features), known, "map", torch.device("cpu")),
        place=place,
    )
    kept, out = divided(known, 0.3, seed=0)
    maps = FeatureCache(files.train_features).read_maps()
    for rows in (kept, out):
        part = whole.part(rows)
        batches = list(part.batches(7))
        found = torch.cat([batch.features for batch in batches])
        assert torch.equal(found, torch.from_numpy(maps[rows]).float())
        labels = torch.cat([batch.labels for batch in batches])
        assert np.array_equal(labels, known[rows])
        images = torch.cat([batch.images for batch in batches])
        assert images.tolist() == list(range(len(rows)))
        # The features are in memory once.
        assert part.features is whole.features
        shuffled = list(part.shuffled(7, 0, 1))
        again = torch.cat([batch.images for batch in shuffled])
        assert sorted(again.tolist()) == list(range(len(rows)))
        assert np.array_equal(
            torch.cat([batch.labels for batch in shuffled]), known[rows][again]
        )
    assert len(whole.part(kept)) + len(whole.part(out)) == len(known)


def test_history_has_the_map_of_the_held_out_images(files, tmp_path):
    assert run(files, tmp_path, validation=0.4, epochs=3, eval_every=2) == 0
    rows = history(tmp_path)
    assert [row["validation_mAP"] != "" for row in rows] == [False, True, True]
    assert [row["mAP"] != "" for row in rows] == [False, True, True]
    images = json.loads((tmp_path / "run.json").read_text())["images"]
    assert images == {"train": 36, "validation": 24, "test": 30}
    # By hand: the same training on the images that are left.
    method, training, test, options = make(files, validation=0.4, epochs=3)
    known = np.load(files.known)
    kept, out = divided(known, 0.4, seed=0)
    train_quietly(method, options, training.part(kept), test, training.part(out))
    held = mean_average_precision(loop.score(method, training.part(out)), known[out])
    assert float(rows[-1]["validation_mAP"]) == pytest.approx(held, abs=1e-4)


def test_scores_of_the_epoch_that_the_held_out_images_choose_are_kept(files, tmp_path):
    options = {"validation": 0.4, "epochs": 5, "lr": 0.5}
    assert run(files, tmp_path, **options) == 0
    rows = history(tmp_path)
    held_maps = [float(row["validation_mAP"]) for row in rows]
    chosen = int(rows[int(np.argmax(held_maps))]["epoch"])
    known = np.load(files.known)
    _, out = divided(known, 0.4, seed=0)
    test_labels = Index.load(files.test_index).labels
    with h5py.File(tmp_path / "scores.h5") as file:
        assert file.attrs["epoch_validated"] == chosen
        assert np.array_equal(file["validation/labels"][:], known[out])
        own = file["validation/validated"][:], known[out]
        assert mean_average_precision(*own) == max(held_maps)
        last = file["validation/last"][:], known[out]
        assert mean_average_precision(*last) == held_maps[-1]
        test = file["validated"][:], test_labels
        assert mean_average_precision(*test) == float(rows[chosen - 1]["mAP"])
    # Neither the last epoch's nor the test set's choice, so that this shows something.
    test_maps = [float(row["mAP"]) for row in rows]
    assert chosen not in (5, 1 + int(np.argmax(test_maps))), (held_maps, test_maps)


def test_without_one_nothing_is_kept(files, tmp_path):
    assert run(files, tmp_path, epochs=2) == 0
    with h5py.File(tmp_path / "scores.h5") as file:
        assert set(file) == {"last", "best"}
        names = {
            "threshold",
            "epoch_last",
            "epoch_best",
            "images_sha256",
            "scores_sha256",
        }
        assert set(file.attrs) == names


def test_without_one_the_column_is_empty(files, tmp_path):
    assert run(files, tmp_path, epochs=2) == 0
    assert {row["validation_mAP"] for row in history(tmp_path)} == {""}
    images = json.loads((tmp_path / "run.json").read_text())["images"]
    assert images == {"train": 60, "test": 30}


@pytest.mark.parametrize(
    "parts",
    [
        {"head": "ggnn"},
        {"head": "gcn"},
        {"head": "cosine"},
        {"transfer": "dsrb", "prototypes": 2, "transfer_epoch": 2},
    ],
    ids=lambda parts: next(iter(parts.values())),
)
def test_labels_held_out_reach_no_weight(files, tmp_path, parts):
    """Neither the loss nor what is counted over the data set sees them."""
    known = np.load(files.known)
    _, out = divided(known, 0.3, seed=0)
    changed = known.copy()
    changed[out[::2]] = 0
    np.save(tmp_path / "changed.npy", changed)
    other = tiny.Files(**{**vars(files), "known": str(tmp_path / "changed.npy")})
    weights, maps = [], []
    for name, chosen in (("plain", files), ("changed", other)):
        folder = tmp_path / name
        options = {**parts, "validation": 0.3, "epochs": 3}
        assert run(chosen, folder, **options) == 0
        weights.append(load_file(folder / "weights.safetensors"))
        maps.append(history(folder)[-1]["validation_mAP"])
    assert weights[0].keys() == weights[1].keys()
    for name, array in weights[0].items():
        assert np.array_equal(array, weights[1][name]), name
    assert maps[0] != maps[1]


def test_cooccurrences_are_of_known_training_labels(files, monkeypatch, tmp_path):
    seen = []

    def kept(known, unseen):
        seen.append(known)
        return conditional(known, unseen)

    monkeypatch.setattr("mlrpl.methods.heads.ggnn.conditional", kept)
    options = {"head": "ggnn", "validation": 0.3, "epochs": 1}
    assert run(files, tmp_path, **options) == 0
    known = np.load(files.known)
    rows, _ = divided(known, 0.3, seed=0)
    assert np.array_equal(seen[0], known[rows])
    full = Index.load(files.train_index).labels
    assert (full[rows] != known[rows]).any()


def test_a_split_that_leaves_nothing_is_one_line(files, tmp_path, capsys):
    known = np.full((10, 2), -1, dtype=np.int8)
    known[5] = 1  # which is trained on
    with pytest.raises(UserError, match="no known positive is among the 2 images"):
        divided(known, 0.2, seed=0)
    with pytest.raises(UserError, match="leaves none of 1 images to train on"):
        divided(known[:1], 0.9, seed=0)
    assert run(files, tmp_path, validation=0.01) == 1
    assert "validation: 0.01: no known positive" in capsys.readouterr().err
