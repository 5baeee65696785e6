"""Multi-label metrics of a score matrix: average precision, precision, recall, F1.

Conventions, each of which changes a number:

* A target is 1 (present), -1 (absent) or 0 (ignored). An ignored cell counts nowhere,
  as if the image were not in the test set of that class.
* **Average precision.** Cells of equal score are accepted together, so precision and
  recall are measured at the distinct scores only and no AP depends on the order of the
  rows. `mAP` is the area under the precision envelope (VOC 2010 and later, the
  headline number of the lab's code), `mAP_noninterpolated` the sum of precision times
  step in recall, `mAP_11point` VOC 2007's mean over the recalls 0, 0.1, ..., 1.
* **Precision, recall, F1** (Eq. 12-14). A class is predicted where its score reaches
  the threshold, the score at p = 0.5. CF1 is the harmonic mean of the mean precision
  CP and the mean recall CR. A class that is never predicted has precision 0; OP divides
  by the real number of predictions (the field's code counts 1 for such a class).
* **Top-3** is what ML-GCN's and HCP-MLR-PL's code computes: a class is predicted where
  it is among the image's three best *and* reaches the threshold, so an image may have
  fewer than three predictions. Of classes with equal scores the first counts as better.
* A class without a positive has no AP: its `ap` is nan, and it is left out of the mAP,
  CP and CR. Its false positives still count in OP.

All values are percent, unrounded. Only numpy is imported: one process evaluates one
setting, and there are hundreds of them.
"""

from dataclasses import dataclass

import numpy as np

from mlrpl.errors import UserError

THRESHOLDED = ("OP", "OR", "OF1", "CP", "CR", "CF1")
METRICS = (
    "mAP",
    "mAP_noninterpolated",
    "mAP_11point",
    *THRESHOLDED,
    *(f"{name}_top3" for name in THRESHOLDED),
)


@dataclass(frozen=True)
class AveragePrecision:
    """Three definitions of AP for each class, percent, [C] each; nan: no positive."""

    envelope: np.ndarray
    noninterpolated: np.ndarray
    eleven_point: np.ndarray


def evaluate(
    scores: np.ndarray, targets: np.ndarray, threshold: float, where: str = "scores"
) -> tuple[dict[str, float], np.ndarray]:
    """Return every metric of `METRICS`, and the envelope AP of each class [C].

    Args:
        scores: [N, C], larger where a class is more likely; infinities are allowed.
        targets: [N, C] of 1, -1 and 0.
        threshold: the score at which the probability is 0.5.
        where: the file to name in an error.

    Raises:
        UserError: a score is not a number, the shapes differ, a target is none of 1,
            -1 and 0, or no class has a positive.
    """
    check(scores, targets, where)
    ap = average_precision(scores, targets)
    metrics = {
        "mAP": float(np.nanmean(ap.envelope)),
        "mAP_noninterpolated": float(np.nanmean(ap.noninterpolated)),
        "mAP_11point": float(np.nanmean(ap.eleven_point)),
    }
    predicted = scores >= threshold
    metrics |= precision_recall_f1(predicted, targets)
    top3 = precision_recall_f1(predicted & best_classes(scores, targets, 3), targets)
    metrics |= {f"{name}_top3": value for name, value in top3.items()}
    return metrics, ap.envelope


def mean_average_precision(scores: np.ndarray, targets: np.ndarray) -> float:
    """Return `mAP` alone: the mean area under the precision envelope, in percent.

    Args:
        scores: [N, C].
        targets: [N, C] of 1, -1 and 0 (ignored).

    Raises:
        UserError: as `evaluate`.
    """
    check(scores, targets, "scores")
    return float(np.nanmean(average_precision(scores, targets).envelope))


def check(scores: np.ndarray, targets: np.ndarray, where: str) -> None:
    """Raise a UserError unless the metrics of the two arrays are defined."""
    if scores.ndim != 2 or scores.shape != targets.shape:
        raise UserError(
            f"{where}: scores of shape {scores.shape} do not fit labels of shape "
            f"{targets.shape}; score the images and classes of the same index"
        )
    bad = np.isnan(scores)
    if bad.any():
        row = int(np.argmax(bad.any(axis=1)))
        raise UserError(
            f"{where}: {int(bad.sum())} scores are not a number, the first in row "
            f"{row}; the training diverged: lower lr or scale and train again"
        )
    if not np.isin(targets, (-1, 0, 1)).all():
        raise UserError(f"{where}: the labels hold values other than -1, 0 and 1")
    if not (targets == 1).any():
        raise UserError(f"{where}: no class has a positive; nothing can be measured")


def average_precision(scores: np.ndarray, targets: np.ndarray) -> AveragePrecision:
    """Return the AP of each class under the three definitions.

    Args:
        scores: [N, C] without nan.
        targets: [N, C] of 1, -1 and 0 (ignored).
    """
    classes = scores.shape[1]
    result = AveragePrecision(*(np.full(classes, np.nan) for _ in range(3)))
    columns, labels = np.ascontiguousarray(scores.T), np.ascontiguousarray(targets.T)
    for c in range(classes):
        hits, accepted = curve(columns[c], labels[c])
        if len(hits) == 0:
            continue
        positives = hits[-1]
        precision = hits / accepted
        step = np.diff(hits, prepend=0) / positives
        envelope = np.maximum.accumulate(precision[::-1])[::-1]
        result.noninterpolated[c] = 100 * (step * precision).sum()
        result.envelope[c] = 100 * (step * envelope).sum()
        # recall >= k / 10 in whole numbers: no recall is missed by a rounding error
        first = np.searchsorted(10 * hits, np.arange(11) * positives)
        result.eleven_point[c] = 100 * envelope[first].mean()
    return result


def curve(scores: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return hits and accepted cells at each distinct score of a positive.

    Scores that no positive has cannot raise the recall, and their precision is below
    that of the distinct score before, so no definition of AP needs them.

    Args:
        scores: [N] of one class.
        targets: [N] of 1, -1 and 0 (ignored).

    Returns:
        (positives, cells) whose score is at least s, for the scores s of the positives
        from the largest to the smallest; whole numbers, empty without a positive.
    """
    every = np.sort(scores[targets != 0])
    positives = np.sort(scores[targets == 1])
    distinct = np.unique(positives)[::-1]
    hits = len(positives) - np.searchsorted(positives, distinct)
    accepted = len(every) - np.searchsorted(every, distinct)
    return hits, accepted


def best_classes(scores: np.ndarray, targets: np.ndarray, k: int) -> np.ndarray:
    """Return where a class is among the k best of its image, ignored cells left out.

    Args:
        scores: [N, C].
        targets: [N, C]; 0 marks an ignored cell.
        k: how many classes of an image to take; all where it has fewer.

    Returns:
        Boolean [N, C]. Cells of score minus infinity are never among the best.
    """
    left = np.where(targets != 0, scores, -np.inf)
    rows = np.arange(len(left))
    chosen = np.zeros(left.shape, dtype=bool)
    for _ in range(min(k, left.shape[1])):
        best = left.argmax(axis=1)
        chosen[rows, best] |= left[rows, best] > -np.inf
        left[rows, best] = -np.inf
    return chosen


def precision_recall_f1(predicted: np.ndarray, targets: np.ndarray) -> dict[str, float]:
    """Return OP, OR, OF1, CP, CR and CF1 (Eq. 12-14) in percent.

    Args:
        predicted: boolean [N, C].
        targets: [N, C] of 1, -1 and 0 (ignored).
    """
    correct = (predicted & (targets == 1)).sum(axis=0)
    guesses = (predicted & (targets != 0)).sum(axis=0)
    truth = (targets == 1).sum(axis=0)
    judged = truth > 0
    op = correct.sum() / max(guesses.sum(), 1)
    recall = correct.sum() / truth.sum()
    cp = (correct[judged] / np.maximum(guesses[judged], 1)).mean()
    cr = (correct[judged] / truth[judged]).mean()
    values = (op, recall, _harmonic(op, recall), cp, cr, _harmonic(cp, cr))
    return {n: 100 * float(v) for n, v in zip(THRESHOLDED, values, strict=True)}


def _harmonic(a: float, b: float) -> float:
    return 2 * a * b / (a + b) if a + b > 0 else 0.0
