"""Metrics of counted images against the same images repeated."""

import numpy as np
import pytest

from mlrpl.errors import UserError
from mlrpl.evaluation.average_precision import average_precision
from mlrpl.evaluation.metrics import evaluate
from mlrpl.statistics import weighted_metrics
from mlrpl.statistics.weighted_metrics import RESAMPLED, WeightedMetrics


def example(trouble: str):
    random = np.random.default_rng(7)
    targets = np.where(random.random((90, 6)) < 0.25, 1, -1)
    scores = random.standard_normal((90, 6)).astype(np.float32) + targets
    if "ties" in trouble:
        scores = np.round(scores)
    if "infinite" in trouble:
        scores[random.random(scores.shape) < 0.1] = np.inf
        scores[random.random(scores.shape) < 0.1] = -np.inf
    if "ignored" in trouble:
        targets[random.random(targets.shape) < 0.2] = 0
    if "rare" in trouble:
        targets[:, 1] = -1
        targets[:2, 2], targets[2:, 2] = 1, -1
    return scores, targets.astype(np.int8)


TROUBLES = ["none", "ties", "ignored", "rare", "infinite", "ties, ignored, rare"]


@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.parametrize("block", [2**20, 100])
def test_counts_are_repeated_images(trouble, block, monkeypatch):
    """Every metric and every class's AP, images that count zero times among them."""
    monkeypatch.setattr(weighted_metrics, "BLOCK", block)
    scores, targets = example(trouble)
    random = np.random.default_rng(1)
    counts = random.poisson(1, size=(7, 90)).astype(np.uint8)
    counts[0] = 1
    metrics, ap = WeightedMetrics(scores, targets, 0.0)(counts)
    assert list(metrics) == [n for n in metrics if n in RESAMPLED] == [*RESAMPLED]
    for row, count in enumerate(counts):
        repeated = np.repeat(np.arange(90), count)
        expected, classes = evaluate(scores[repeated], targets[repeated], 0.0)
        np.testing.assert_allclose(ap[row], classes, rtol=1e-12)
        for name in RESAMPLED:
            assert metrics[name][row] == pytest.approx(expected[name], rel=1e-12), name


@pytest.mark.parametrize("kind", [np.uint8, np.int64, np.int8])
def test_the_type_of_the_counts_does_not_matter(kind):
    scores, targets = example("ties")
    counts = np.random.default_rng(1).integers(0, 9, size=(3, 90))
    expected, ap = WeightedMetrics(scores, targets, 0.0)(counts)
    metrics, again = WeightedMetrics(scores, targets, 0.0)(counts.astype(kind))
    assert np.array_equal(ap, again)
    assert all(np.array_equal(metrics[name], expected[name]) for name in metrics)


def test_large_counts_do_not_overflow():
    scores, targets = example("none")
    _, ap = WeightedMetrics(scores, targets, 0.0)(np.full((1, 90), 250, np.uint8))
    expected = average_precision(scores, targets).envelope
    np.testing.assert_allclose(ap[0], expected, rtol=1e-12)


def test_a_class_without_a_positive_in_a_resample_is_left_out():
    scores, targets = example("rare")
    counts = np.ones((2, 90), dtype=np.uint8)
    counts[1, :2] = 0  # class 2 has no other positive
    metrics, ap = WeightedMetrics(scores, targets, 0.0)(counts)
    assert np.isnan(ap[:, 1]).all() and np.isnan(ap[1, 2]) and not np.isnan(ap[0, 2])
    assert metrics["mAP"] == pytest.approx(np.nanmean(ap, axis=1))


def test_a_resample_without_any_positive_has_no_metric():
    scores, targets = example("none")
    counts = np.zeros((1, 90), dtype=np.uint8)
    counts[0, np.flatnonzero((targets < 0).all(axis=1))[:3]] = 1
    metrics, ap = WeightedMetrics(scores, targets, 0.0)(counts)
    assert np.isnan(ap).all()
    assert all(np.isnan(values).all() for values in metrics.values())


def test_scores_that_are_no_numbers_are_one_line():
    scores, targets = example("none")
    scores[3, 1] = np.nan
    with pytest.raises(UserError, match=r"here: 1 scores are not a number"):
        WeightedMetrics(scores, targets, 0.0, "here")
