"""Metrics against scikit-learn, literal loops and a trained model's real scores."""

import json
import subprocess
import sys

import h5py
import numpy as np
import pytest
from sklearn.metrics import average_precision_score, precision_recall_fscore_support

from mlrpl.__main__ import main
from mlrpl.data.index import Index
from mlrpl.errors import UserError
from mlrpl.evaluation.metrics import (
    METRICS,
    average_precision,
    best_classes,
    evaluate,
    mean_average_precision,
    precision_recall_f1,
)

# --- literal definitions, one ranked list at a time -----------------------------------


def points(scores, targets):
    """(recall, precision) after accepting everything at or above each score."""
    kept = [(s, t) for s, t in zip(scores, targets, strict=True) if t != 0]
    total = sum(t == 1 for _, t in kept)
    result = []
    for level in sorted({s for s, _ in kept}, reverse=True):
        accepted = [t for s, t in kept if s >= level]
        hits = sum(t == 1 for t in accepted)
        result.append((hits / total, hits / len(accepted)))
    return result


def literal_envelope(scores, targets):
    """VOC development kit: pad, make monotone from the right, sum the rectangles."""
    recall, precision = map(list, zip(*points(scores, targets), strict=True))
    recall, precision = [0.0, *recall, 1.0], [0.0, *precision, 0.0]
    for i in range(len(precision) - 2, -1, -1):
        precision[i] = max(precision[i], precision[i + 1])
    return sum(
        (recall[i] - recall[i - 1]) * precision[i] for i in range(1, len(recall))
    )


def literal_eleven_point(scores, targets):
    curve = points(scores, targets)
    heights = []
    for k in range(11):
        reached = [p for r, p in curve if r >= k / 10 - 1e-9]
        heights.append(max(reached, default=0.0))
    return sum(heights) / 11


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


@pytest.fixture(params=["distinct", "ties", "ignored", "ties and ignored"])
def example(request):
    """Scores and targets [300, 7], with the trouble that the name says."""
    random = np.random.RandomState(5)
    targets = np.where(random.random_sample((300, 7)) < 0.2, 1, -1)
    scores = (random.randn(300, 7) + targets).astype(np.float32)
    if "ties" in request.param:
        scores = np.round(scores * 2) / 2
    if "ignored" in request.param:
        targets[random.random_sample(targets.shape) < 0.15] = 0
    return scores, targets.astype(np.int8)


# --- average precision ----------------------------------------------------------------


def test_noninterpolated_is_scikit_learns(example):
    scores, targets = example
    ap = average_precision(scores, targets).noninterpolated
    for c in range(scores.shape[1]):
        kept = targets[:, c] != 0
        expected = average_precision_score(targets[kept, c] == 1, scores[kept, c])
        assert ap[c] == pytest.approx(100 * expected, abs=1e-9)


def test_envelope_and_eleven_point_are_the_literal_ones(example):
    scores, targets = example
    ap = average_precision(scores, targets)
    for c in range(scores.shape[1]):
        column = scores[:, c].tolist(), targets[:, c].tolist()
        assert ap.envelope[c] == pytest.approx(100 * literal_envelope(*column))
        assert ap.eleven_point[c] == pytest.approx(100 * literal_eleven_point(*column))


def test_the_order_of_rows_does_not_matter(example):
    scores, targets = example
    expected, ap = evaluate(scores, targets, 0.0)
    for order in (np.s_[::-1], np.argsort(targets[:, 0], kind="stable")):
        metrics, again = evaluate(scores[order], targets[order], 0.0)
        assert metrics == expected
        np.testing.assert_array_equal(again, ap)


def test_average_precision_by_hand():
    # ranks of the positives: 1, 3 and, tied with one negative, 4-5
    scores = np.array([[9.0], [8], [7], [6], [6], [1]])
    targets = np.array([[1], [-1], [1], [1], [-1], [-1]])
    ap = average_precision(scores, targets)
    assert ap.noninterpolated[0] == pytest.approx(100 * (1 + 2 / 3 + 3 / 5) / 3)
    assert ap.envelope[0] == pytest.approx(100 * (1 + 2 / 3 + 3 / 5) / 3)
    # recalls 0-.3 lie below 1/3, .4-.6 below 2/3, the other four above
    assert ap.eleven_point[0] == pytest.approx(
        100 * (4 * 1 + 3 * 2 / 3 + 4 * 3 / 5) / 11
    )


def test_the_envelope_lifts_a_later_better_precision():
    scores = np.array([[4.0], [3], [2], [1]])
    targets = np.array([[-1], [1], [1], [1]])
    ap = average_precision(scores, targets)
    assert ap.noninterpolated[0] == pytest.approx(100 * (1 / 2 + 2 / 3 + 3 / 4) / 3)
    assert ap.envelope[0] == pytest.approx(75)
    assert ap.eleven_point[0] == pytest.approx(75)


def test_eleven_point_loses_no_recall_to_rounding():
    # 3 of 10 positives before any negative: recall 0.3 is reached exactly
    targets = np.array([[1]] * 3 + [[-1]] * 30 + [[1]] * 7)
    scores = np.arange(len(targets), 0, -1.0)[:, None]
    expected = 100 * (4 * 1 + 7 * 10 / 40) / 11
    assert average_precision(scores, targets).eleven_point[0] == pytest.approx(expected)


def test_infinite_scores_are_ranked():
    scores = np.array([[np.inf], [0.0], [-np.inf], [-np.inf]])
    targets = np.array([[1], [-1], [1], [-1]])
    assert average_precision(scores, targets).noninterpolated[0] == pytest.approx(75)


# --- precision, recall, F1 ------------------------------------------------------------


def test_overall_and_per_class_values_are_the_literal_ones(example):
    scores, targets = example
    metrics, _ = evaluate(scores, targets, 0.3)
    for name, value in literal_counts(scores >= 0.3, targets).items():
        assert metrics[name] == pytest.approx(100 * value), name


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


# --- classes without positives, bad input ---------------------------------------------


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


# --- a trained model's real scores ----------------------------------------------------


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


# --- from files to metrics.json -------------------------------------------------------


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
    assert "not a whole file of scores" in error
