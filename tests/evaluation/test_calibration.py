"""Calibration error and thresholds against scikit-learn and a search by hand."""

import json
import math

import h5py
import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import f1_score

from mlrpl.__main__ import main
from mlrpl.data.index import Index
from mlrpl.evaluation.calibration import (
    AT_THRESHOLDS,
    BINS,
    best_threshold,
    calibration,
    choose_thresholds,
    expected_calibration_error,
    probabilities,
)
from mlrpl.evaluation.metrics import precision_recall_f1


def test_the_error_is_made_of_scikit_learns_bins(example):
    scores, targets = example
    p = probabilities(scores, 0.0)
    judged = targets != 0
    p, present = p[judged], targets[judged] == 1
    # Bins that are empty are left out of the curve and of the counts.
    counts = np.histogram(p, BINS, range=(0, 1))[0]
    found, said = calibration_curve(present, p, n_bins=BINS)
    expected = 100 * np.average(np.abs(found - said), weights=counts[counts > 0])
    error = expected_calibration_error(probabilities(scores, 0.0), targets)
    assert error == pytest.approx(expected)


def test_the_error_by_hand():
    targets = np.array([[1, -1, 0], [1, 1, -1]])
    p = np.array([[0.81, 0.81, 0.5], [0.85, 1.0, 0.1]])
    # Bins of 1/15: 0.81 and 0.85 share one; 1 is in the last; the ignored cell in none.
    expected = (abs(0.81 + 0.81 + 0.85 - 2) + 0 + 0.1) / 5
    assert expected_calibration_error(p, targets) == pytest.approx(100 * expected)


def test_probabilities_are_those_of_the_two_scores():
    logits = np.array([[-800.0, 0.0, 2.0, np.inf, -np.inf]], dtype=np.float32)
    expected = [0, 0.5, 1 / (1 + math.exp(-2)), 1, 0]
    assert probabilities(logits, 0.0)[0] == pytest.approx(expected)
    logs = np.log(np.array([[0.25, 0.5, 1.0]]))
    assert probabilities(logs, math.log(0.5))[0] == pytest.approx([0.25, 0.5, 1])


def test_no_threshold_is_better(example):
    """Every possible one is tried, by scikit-learn's F1."""
    scores, targets = example
    for c in range(3):
        judged = targets[:, c] != 0
        own, present = scores[judged, c], targets[judged, c] == 1
        tried = {s: f1_score(present, own >= s) for s in np.unique(own)}
        found = best_threshold(scores[:, c], targets[:, c], 0.0)
        assert f1_score(present, own >= found) == pytest.approx(max(tried.values()))


def test_a_threshold_by_hand():
    scores = np.array([5.0, 4.0, 3.0, 1.0, -9.0])
    targets = np.array([1, 1, -1, -1, 0])
    assert best_threshold(scores, targets, 0.0) == 3.5
    assert best_threshold(scores, np.array([1, 1, 1, 1, 1]), 0.0) == -9
    assert best_threshold(scores, -np.ones(5), 0.25) == 0.25
    tied = np.array([2.0, 2.0, 2.0, 1.0])
    assert best_threshold(tied, np.array([1, -1, 1, -1]), 0.0) == 1.5
    infinite = np.array([np.inf, -np.inf])
    assert best_threshold(infinite, np.array([1, -1]), 0.0) == np.inf


def test_thresholds_of_held_out_images_judge_the_test_images(example):
    scores, targets = example
    chosen = choose_thresholds(scores[:150], targets[:150], 0.0)
    found = calibration(scores[150:], targets[150:], 0.0, chosen)
    assert list(found) == ["ECE", *AT_THRESHOLDS]
    single = precision_recall_f1(scores[150:] >= chosen.single, targets[150:])
    own = precision_recall_f1(scores[150:] >= chosen.per_class, targets[150:])
    assert found["OF1_single"] == single["OF1"] and found["CF1_single"] == single["CF1"]
    assert found["OF1_per_class"] == own["OF1"] and found["CF1_per_class"] == own["CF1"]
    assert list(calibration(scores, targets, 0.0, None)) == ["ECE"]


@pytest.fixture
def folder(tmp_path):
    """A run with a validation split: 30 test images, 20 held out, 3 classes."""
    random = np.random.default_rng(2)
    labels = np.where(random.random((30, 3)) < 0.4, 1, -1).astype(np.int8)
    images = tuple(f"{i}.jpg" for i in range(30))
    index = Index("set", "test", ("a", "b", "c"), images, labels)
    index.save(tmp_path / "test.h5")
    held = np.where(random.random((20, 3)) < 0.5, 1, -1).astype(np.int8)
    held[:, 2] = -1  # no known positive
    held[random.random(held.shape) < 0.3] = 0
    with h5py.File(tmp_path / "scores.h5", "w") as file:
        for epoch, number in (("last", 5), ("best", 3), ("validated", 4)):
            file[epoch] = (random.standard_normal((30, 3)) + labels).astype(np.float32)
            file.attrs[f"epoch_{epoch}"] = number
        file.attrs["threshold"] = 0.0
        file.attrs["images_sha256"] = index.hash()
        file["validation/labels"] = held
        for epoch in ("last", "validated"):
            file[f"validation/{epoch}"] = random.standard_normal((20, 3)) + held
    return tmp_path


def evaluated(folder):
    arguments = ["--dataset", "set", "--method", "sarl", "--prop", "0.1", "--seed", "2"]
    arguments += ["--scores", str(folder / "scores.h5")]
    arguments += ["--index", str(folder / "test.h5")]
    arguments += ["--thresholds", str(folder / "thresholds.json")]
    arguments += ["--output", str(folder / "metrics.json")]
    assert main(["evaluate", *arguments]) == 0
    return json.loads((folder / "metrics.json").read_text())


def test_a_run_with_a_validation_split_has_thresholds_and_a_third_epoch(folder):
    metrics = evaluated(folder)
    assert metrics["validated"]["epoch"] == 4
    assert set(metrics["per_class_ap"]) == {"last", "best", "validated"}
    found = metrics["calibration"]
    assert set(found["last"]) == set(found["validated"]) == {"ECE", *AT_THRESHOLDS}
    assert set(found["best"]) == {"ECE"}
    thresholds = json.loads((folder / "thresholds.json").read_text())
    assert list(thresholds) == ["a", "b", "c"] and thresholds["c"] == 0.5
    with h5py.File(folder / "scores.h5") as file:
        held, scores = file["validation/labels"][:], file["validation/last"][:]
        test = probabilities(file["last"][:], 0.0)
    for c, name in enumerate("ab"):
        cut = best_threshold(scores[:, c], held[:, c], 0.0)
        assert thresholds[name] == pytest.approx(1 / (1 + math.exp(-cut)))
    predicted = test >= np.array(list(thresholds.values()))
    f1 = precision_recall_f1(predicted, Index.load(folder / "test.h5").labels)
    assert found["last"]["CF1_per_class"] == pytest.approx(f1["CF1"])


def test_a_run_without_one_has_none(folder):
    with h5py.File(folder / "scores.h5", "a") as file:
        del file["validation"], file["validated"]
    metrics = evaluated(folder)
    assert not (folder / "thresholds.json").exists()
    assert "validated" not in metrics and set(metrics["calibration"]["last"]) == {"ECE"}
