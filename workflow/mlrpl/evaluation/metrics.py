"""Multi-label metrics of a score matrix: average precision, precision, recall, F1.

Conventions, each of which changes a number:

* A target is 1 (present), -1 (absent) or 0 (ignored). An ignored cell counts nowhere,
  as if the image were not in the test set of that class.
* **Average precision**: see `average_precision.py`; `mAP`, the headline number, is the
  area under the precision envelope.
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

import numpy as np

from mlrpl.errors import UserError
from mlrpl.evaluation.average_precision import average_precision

THRESHOLDED = ("OP", "OR", "OF1", "CP", "CR", "CF1")
METRICS = (
    "mAP",
    "mAP_noninterpolated",
    "mAP_11point",
    *THRESHOLDED,
    *(f"{name}_top3" for name in THRESHOLDED),
)


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
        UserError: a score is not a number, the shapes differ, a target is not one of 1,
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
