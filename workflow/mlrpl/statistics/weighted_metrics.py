"""Metrics of test images that count several times or not at all, from one sort.

A resample of the test images is a row of counts. Its metrics are those of
`evaluation.metrics` on the images repeated so often, ties included, without the images
being repeated or sorted again: the order of a class's scores is the same in each
resample, and only how many images lie between two of its positives changes.
"""

from dataclasses import dataclass

import numpy as np

from mlrpl.evaluation.average_precision import curve
from mlrpl.evaluation.metrics import METRICS, THRESHOLDED, best_classes, check

# Those of `METRICS` that are computed here: all but the 11-point AP, which no table
# shows.
RESAMPLED = tuple(name for name in METRICS if name != "mAP_11point")

# Counts that are in memory at once, so that they stay in the processor's cache.
BLOCK = 2**20


@dataclass(frozen=True)
class _Ranking:
    """One class's images in the order of their scores, down to the last positive.

    The images from `starts[k]` to the next start are those that are accepted when the
    threshold falls to the k-th distinct score of a positive.

    Attributes:
        order: rows of the images that count for the class.
        starts: [K] places in `order`.
        positives: rows of the positives, in the same order.
        positive_starts: [K] places in `positives`.
    """

    order: np.ndarray
    starts: np.ndarray
    positives: np.ndarray
    positive_starts: np.ndarray


class WeightedMetrics:
    """The metrics of one run's test scores for any counts of its images."""

    def __init__(
        self,
        scores: np.ndarray,
        targets: np.ndarray,
        threshold: float,
        where: str = "scores",
    ):
        """Sort each class once.

        Args:
            scores: [N, C], larger where a class is more likely.
            targets: [N, C] of 1, -1 and 0 (ignored).
            threshold: the score at which the probability is 0.5.
            where: the file to name in an error.

        Raises:
            UserError: as `evaluation.metrics.evaluate`.
        """
        check(scores, targets, where)
        self.images, self.classes = scores.shape
        self._rankings = [
            _ranking(np.ascontiguousarray(scores[:, c]), targets[:, c])
            for c in range(self.classes)
        ]
        predicted = scores >= threshold
        top3 = predicted & best_classes(scores, targets, 3)
        truth, valid = targets == 1, targets != 0
        columns = [truth, predicted & truth, predicted & valid]
        columns += [top3 & truth, top3 & valid]
        self._cells = np.concatenate(columns, axis=1).astype(np.float32)

    def __call__(self, counts: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Return the metrics of each row of counts, percent.

        A class without a positive among the images that count has no AP and is left out
        of the means over classes, as in the metrics of a whole test set; a row without
        any positive has no metric. These are nan.

        Args:
            counts: [R, N] of whole numbers, how often each image counts; int8 or uint8
                is fastest.

        Returns:
            [R] of each metric in `RESAMPLED`, and the envelope AP of each class [R, C].
        """
        rows = max(1, BLOCK // self.images)
        parts = [
            self._block(counts[start : start + rows])
            for start in range(0, len(counts), rows)
        ]
        names = parts[0][0]
        metrics = {name: np.concatenate([p[0][name] for p in parts]) for name in names}
        return metrics, np.concatenate([ap for _, ap in parts])

    def _block(self, counts: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray]:
        envelope = np.full((len(counts), self.classes), np.nan)
        noninterpolated = envelope.copy()
        for c, ranking in enumerate(self._rankings):
            if len(ranking.order):
                envelope[:, c], noninterpolated[:, c] = _average_precision(
                    ranking, counts
                )
        metrics = {
            "mAP": _mean(envelope),
            "mAP_noninterpolated": _mean(noninterpolated),
        }
        # Whole numbers below 2^24 are exact in float32.
        cells = (counts.astype(np.float32) @ self._cells).astype(float)
        truth, *guesses = np.split(cells, 5, axis=1)
        metrics |= _precision_recall_f1(*guesses[:2], truth)
        top3 = _precision_recall_f1(*guesses[2:], truth)
        metrics |= {f"{name}_top3": value for name, value in top3.items()}
        return metrics, envelope


def _ranking(scores: np.ndarray, targets: np.ndarray) -> _Ranking:
    """Return one class's order, from scores [N] and targets [N]."""
    hits, accepted = curve(scores, targets)
    valid, positive = np.flatnonzero(targets != 0), np.flatnonzero(targets == 1)
    order = valid[np.argsort(-scores[valid], kind="stable")]
    positives = positive[np.argsort(-scores[positive], kind="stable")]
    starts = [np.concatenate([[0], ends[:-1]]).astype(int) for ends in (accepted, hits)]
    return _Ranking(
        order=order[: accepted[-1] if len(accepted) else 0],
        starts=starts[0],
        positives=positives,
        positive_starts=starts[1],
    )


def _average_precision(
    ranking: _Ranking, counts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return envelope and non-interpolated AP [R] of one class, percent.

    A score that only positives with the count 0 have is a point of the curve here and
    is none of the repeated images'. It changes nothing: recall does not rise there, and
    precision is below that of the point before.
    """
    # Of one byte each the sum of all counts is below 2^31 for 8 million images.
    kind = np.int32 if counts.itemsize == 1 and counts.shape[1] < 2**23 else np.int64
    new, more = (
        np.add.reduceat(counts.take(rows, axis=1), starts, axis=1, dtype=kind)
        for rows, starts in (
            (ranking.positives, ranking.positive_starts),
            (ranking.order, ranking.starts),
        )
    )
    hits = np.cumsum(new, axis=1, dtype=kind)
    precision = hits / np.maximum(np.cumsum(more, axis=1, dtype=kind), 1)
    found = hits[:, -1].astype(float)
    found[found == 0] = np.nan
    noninterpolated = np.einsum("rk,rk->r", new, precision)
    envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    area = np.einsum("rk,rk->r", new, envelope)
    return 100 * area / found, 100 * noninterpolated / found


def _precision_recall_f1(
    correct: np.ndarray, guesses: np.ndarray, truth: np.ndarray
) -> dict[str, np.ndarray]:
    """Return OP, OR, OF1, CP, CR and CF1 [R] in percent, of counts [R, C]."""
    present = np.where(truth > 0, truth, np.nan)
    op = correct.sum(axis=1) / np.maximum(guesses.sum(axis=1), 1)
    recall = correct.sum(axis=1) / _positive(truth.sum(axis=1))
    judged = np.where(truth > 0, correct, np.nan)
    cp, cr = _mean(judged / np.maximum(guesses, 1)), _mean(judged / present)
    op = np.where(np.isnan(recall), np.nan, op)
    values = (op, recall, _harmonic(op, recall), cp, cr, _harmonic(cp, cr))
    return {name: 100 * v for name, v in zip(THRESHOLDED, values, strict=True)}


def _positive(numbers: np.ndarray) -> np.ndarray:
    return np.where(numbers > 0, numbers, np.nan)


def _mean(values: np.ndarray) -> np.ndarray:
    """Return the mean [R] over the columns that are not nan; nan without one."""
    there = ~np.isnan(values)
    return np.where(there, values, 0).sum(axis=1) / _positive(there.sum(axis=1))


def _harmonic(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.where(a + b == 0, 0.0, 2 * a * b / np.where(a + b == 0, 1, a + b))
