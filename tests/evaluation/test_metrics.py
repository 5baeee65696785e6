"""Metrics against scikit-learn, literal loops and a trained model's real scores."""

import functools
import subprocess
import sys

import numpy as np
import pytest
from sklearn.metrics import precision_recall_fscore_support

from mlrpl.errors import UserError
from mlrpl.evaluation.metrics import (
    best_classes,
    evaluate,
    mean_average_precision,
    precision_recall_f1,
)


def literal_counts(predicted, targets):
    """Eq. 12-14 with loops."""
    n, classes = targets.shape
    correct, guessed, truth = ([0] * classes for _ in range(3))
    for i in range(n):
        for c in range(classes):
            if targets[i, c] == 0:
                continue
            guessed[c] += bool(predicted[i, c])
            truth[c] += targets[i, c] == 1
            correct[c] += bool(predicted[i, c]) and targets[i, c] == 1
    judged = [c for c in range(classes) if truth[c]]
    op, recall = sum(correct) / sum(guessed), sum(correct) / sum(truth)
    cp = sum(correct[c] / guessed[c] if guessed[c] else 0 for c in judged) / len(judged)
    cr = sum(correct[c] / truth[c] for c in judged) / len(judged)
    return {
        "OP": op,
        "OR": recall,
        "OF1": 2 * op * recall / (op + recall),
        "CP": cp,
        "CR": cr,
        "CF1": 2 * cp * cr / (cp + cr),
    }


def test_overall_and_per_class_values_are_the_literal_ones(example):
    scores, targets = example
    metrics, _ = evaluate(scores, targets, 0.3)
    for name, value in literal_counts(scores >= 0.3, targets).items():
        assert metrics[name] == pytest.approx(100 * value), name


def test_metrics_are_those_of_the_public_code(oracles):
    """Its threshold is a logit of 0."""
    with np.load(oracles / "methods/hcp_metrics.npz") as data:
        targets = np.where(data["targets"] > 0, 1, -1).astype(np.int8)
        metrics, envelope = evaluate(data["scores"], targets, 0.0)
        close = functools.partial(np.testing.assert_allclose, rtol=1e-5)
        close(envelope, 100 * data["ap_envelope"])
        close(metrics["mAP"], 100 * data["map_envelope"][0])
        close(metrics["mAP_noninterpolated"], 100 * data["map_noninterpolated"][0])
        names = ("OR", "CP", "CR", "CF1")
        for suffix, prefix in (("", ""), ("_top3", "top3_")):
            theirs = 100 * data[f"{prefix}OP_OR_OF1_CP_CR_CF1"]
            op, recall, f1, *of_classes = theirs
            found = [metrics[name + suffix] for name in names]
            close(found, [recall, *of_classes])
            # It counts a class that is never predicted as predicted once in OP.
            predicted = data["scores"] >= 0
            if suffix:
                predicted &= best_classes(data["scores"], targets, 3)
            counts = predicted.sum(axis=0)
            share = counts.sum() / np.maximum(counts, 1).sum()
            assert share < 1
            close(share * metrics["OP" + suffix], op)
            close(f1, 2 * op * recall / (op + recall))


def test_overall_values_are_scikit_learns_micro_average(example):
    scores, targets = example
    kept = targets != 0
    expected = precision_recall_fscore_support(
        targets[kept] == 1, scores[kept] >= 0, average="binary"
    )[:3]
    metrics, _ = evaluate(scores, targets, 0.0)
    found = [metrics[name] for name in ("OP", "OR", "OF1")]
    np.testing.assert_allclose(found, 100 * np.array(expected))


def test_cf1_is_not_the_mean_of_the_f1s():
    predicted = np.array([[1, 1], [0, 1], [0, 1]], dtype=bool)
    targets = np.array([[1, 1], [1, -1], [-1, -1]])
    values = precision_recall_f1(predicted, targets)
    assert values["CP"] == pytest.approx(100 * (1 + 1 / 3) / 2)
    assert values["CR"] == pytest.approx(100 * (1 / 2 + 1) / 2)
    assert values["CF1"] == pytest.approx(100 * 2 * (2 / 3 * 3 / 4) / (2 / 3 + 3 / 4))


def test_a_score_at_the_threshold_is_a_prediction():
    scores, targets = np.array([[0.5, 0.4]], np.float32), np.array([[1, -1]])
    assert evaluate(scores, targets, 0.5)[0]["OF1"] == 100
    assert evaluate(scores, targets, 0.6)[0]["OR"] == 0


def test_without_a_prediction_everything_is_zero():
    targets = np.array([[1, -1], [-1, 1]])
    values = precision_recall_f1(np.zeros((2, 2), bool), targets)
    assert values == dict.fromkeys(("OP", "OR", "OF1", "CP", "CR", "CF1"), 0.0)


def test_a_class_that_is_never_predicted_has_precision_zero():
    predicted = np.array([[1, 0], [1, 0]], dtype=bool)
    targets = np.array([[1, 1], [1, -1]])
    values = precision_recall_f1(predicted, targets)
    assert values["OP"] == 100
    assert values["CP"] == 50


def test_top3_takes_the_best_three_that_reach_the_threshold(example):
    scores, targets = example
    predicted = np.zeros(scores.shape, bool)
    for i, row in enumerate(scores):
        judged = [c for c in range(len(row)) if targets[i, c] != 0]
        for c in sorted(judged, key=lambda c, row=row: (-row[c], c))[:3]:
            predicted[i, c] = row[c] >= 0
    metrics, _ = evaluate(scores, targets, 0.0)
    for name, value in literal_counts(predicted, targets).items():
        assert metrics[f"{name}_top3"] == pytest.approx(100 * value), name


def test_top3_of_equal_scores_is_exactly_the_first_three():
    chosen = best_classes(np.zeros((1, 5)), np.array([[1, 0, -1, -1, 1]]), 3)
    assert chosen.tolist() == [[True, False, True, True, False]]


def test_top3_of_fewer_than_three_classes_is_all():
    assert best_classes(np.array([[1.0, 2.0]]), np.array([[1, -1]]), 3).all()


def test_a_class_without_positives_counts_in_no_mean():
    scores = np.array([[2.0, 3], [1, 1], [-1, -1]])
    targets = np.array([[1, -1], [-1, -1], [1, -1]])
    metrics, ap = evaluate(scores, targets, 0.0)
    assert np.isnan(ap[1])
    alone, _ = evaluate(scores[:, :1], targets[:, :1], 0.0)
    for name in ("mAP", "mAP_noninterpolated", "mAP_11point", "CP", "CR", "CF1", "OR"):
        assert metrics[name] == alone[name], name
    assert metrics["OP"] == 25
    assert alone["OP"] == 50


@pytest.mark.parametrize(
    ("scores", "targets", "message"),
    [
        ([[1.0, np.nan]], [[1, -1]], "file.h5: 1 scores are not a number, the first"),
        ([[1.0]], [[1, -1]], "file.h5: scores of shape (1, 1) do not fit"),
        ([[1.0, 2.0]], [[1, 2]], "file.h5: the labels hold values other than"),
        ([[1.0, 2.0]], [[-1, 0]], "file.h5: no class has a positive"),
    ],
)
def test_bad_arrays_are_refused(scores, targets, message):
    with pytest.raises(UserError) as caught:
        evaluate(np.array(scores), np.array(targets), 0.0, where="file.h5")
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_the_module_imports_nothing_heavy():
    code = (
        "import sys, mlrpl.evaluation.metrics;"
        "print([m for m in ('torch', 'pandas', 'sklearn', 'scipy', 'matplotlib') "
        "if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    assert done.stdout.strip() == "[]"


@pytest.fixture(scope="module")
def real(oracles):
    """A DualCoOp model's scores on VOC 2007 test, and the labels with 0: difficult.

    The figures below were measured by others on the array `preds_local`.
    """
    scores = np.load(oracles / "dualcoop_voc2007test_predictions.npz")["preds_local"]
    labels = np.load(oracles / "voc2007_test_labels_with_difficult0.npy")
    return scores, labels


@pytest.mark.parametrize(
    ("difficult", "expected"),
    [
        (
            -1,
            {
                "mAP": 94.28,
                "mAP_noninterpolated": 94.18,
                "mAP_11point": 90.00,
                "OF1": 88.05,
                "CF1": 86.82,
            },
        ),
        (0, {"mAP_noninterpolated": 95.15}),
        (1, {"mAP_noninterpolated": 93.89}),
    ],
)
def test_real_scores_give_the_published_figures(real, difficult, expected):
    scores, labels = real
    targets = np.where(labels == 0, difficult, labels)
    metrics, _ = evaluate(scores, targets, 0.0)
    for name, value in expected.items():
        assert metrics[name] == pytest.approx(value, abs=0.01), name
    assert mean_average_precision(scores, targets) == metrics["mAP"]
