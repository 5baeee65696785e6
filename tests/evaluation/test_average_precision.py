"""Average precision against scikit-learn and literal loops."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from mlrpl.evaluation.metrics import (
    average_precision,
    evaluate,
)


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
