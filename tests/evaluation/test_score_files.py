"""From files of scores to metrics.json; damaged ones are refused."""

import json

import h5py
import numpy as np
import pytest

from mlrpl.__main__ import main
from mlrpl.data.index import Index
from mlrpl.evaluation.metrics import (
    METRICS,
    evaluate,
)


@pytest.fixture
def run_files(tmp_path):
    """An index and scores.h5 of 40 images and 4 classes, as a training writes them."""
    random = np.random.RandomState(0)
    labels = np.where(random.random_sample((40, 4)) < 0.3, 1, -1).astype(np.int8)
    labels[:, 3] = -1
    index = Index(
        "set",
        "test",
        ("a", "b", "c", "d"),
        tuple(f"{i}.jpg" for i in range(40)),
        labels,
    )
    index.save(tmp_path / "test.h5")
    last = (random.randn(40, 4) + labels).astype(np.float32)
    best = (random.randn(40, 4) + 2 * labels).astype(np.float32)
    with h5py.File(tmp_path / "scores.h5", "w") as file:
        file["last"], file["best"] = last, best
        file.attrs["threshold"] = 0.25
        file.attrs["epoch_last"], file.attrs["epoch_best"] = 5, 3
        file.attrs["images_sha256"] = index.hash()
    return tmp_path, index, {"last": last, "best": best}


def evaluate_command(folder):
    return main(
        [
            *("evaluate", "--dataset", "set", "--method", "sarl", "--prop", "0.1"),
            *("--seed", "2", "--scores", str(folder / "scores.h5")),
            *("--index", str(folder / "test.h5")),
            *("--output", str(folder / "metrics.json")),
        ]
    )


def test_the_command_writes_what_the_arrays_give(run_files):
    folder, index, scores = run_files
    assert evaluate_command(folder) == 0
    written = (folder / "metrics.json").read_bytes()
    metrics = json.loads(written)
    assert [metrics[k] for k in ("dataset", "method", "prop", "seed")] == [
        *("set", "sarl", 0.1, 2)
    ]
    for epoch, number in (("last", 5), ("best", 3)):
        expected, ap = evaluate(scores[epoch], index.labels, 0.25)
        assert list(metrics[epoch]) == ["epoch", *METRICS]
        assert metrics[epoch] == {"epoch": number, **expected}
        assert list(metrics["per_class_ap"][epoch]) == list(index.classes)
        assert metrics["per_class_ap"][epoch]["d"] is None
        assert metrics["per_class_ap"][epoch]["b"] == ap[1]
    assert evaluate_command(folder) == 0
    assert (folder / "metrics.json").read_bytes() == written


def test_scores_of_other_images_are_refused(run_files, capsys):
    folder, index, _ = run_files
    other = Index("set", "test", index.classes, index.images[::-1], index.labels)
    other.save(folder / "test.h5")
    assert evaluate_command(folder) == 1
    assert "the scores are of other images than" in capsys.readouterr().err
    assert not (folder / "metrics.json").exists()


def test_scores_of_another_number_of_classes_are_refused(run_files, capsys):
    folder, index, _ = run_files
    fewer = Index("set", "test", index.classes[:3], index.images, index.labels[:, :3])
    fewer.save(folder / "test.h5")
    assert evaluate_command(folder) == 1
    assert "scores of shape (40, 4) do not fit" in capsys.readouterr().err


def test_scores_that_are_not_numbers_are_refused(run_files, capsys):
    folder, _, _ = run_files
    with h5py.File(folder / "scores.h5", "a") as file:
        file["best"][7, 1] = np.nan
    assert evaluate_command(folder) == 1
    error = capsys.readouterr().err
    assert "scores.h5 (best epoch): 1 scores are not a number, the first in row 7" in (
        error
    )


@pytest.mark.parametrize("damage", ["absent", "cut", "no best", "no threshold"])
def test_damaged_scores_are_refused(run_files, capsys, damage):
    folder, _, _ = run_files
    path = folder / "scores.h5"
    if damage == "absent":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:500])
    else:
        with h5py.File(path, "a") as file:
            if damage == "no best":
                del file["best"]
            else:
                del file.attrs["threshold"]
    assert evaluate_command(folder) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    expected = "is not there; train" if damage == "absent" else "not a whole file of sc"
    assert expected in error
