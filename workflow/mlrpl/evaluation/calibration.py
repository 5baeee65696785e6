"""How well probabilities say what they mean, and thresholds other than 0.5.

* **ECE**, the expected calibration error: all judged cells of all classes are sorted
  into bins of equal width by their probability; the mean over the cells of the distance
  between a bin's mean probability and its share of positives (Guo et al., ICML 2017,
  with their 15 bins, for cells in place of predicted classes).
* **A single threshold** has the best OF1 of the validation split, and **per-class
  thresholds** have the best F1 of each class there. They are chosen on the known labels
  of held-out training images, and applied to the test images: a threshold that is
  chosen on the images that it is judged on flatters.

A threshold lies in the middle of two neighbouring scores, or at 0.5 for a class without
a known positive among the held-out images. Only numpy is imported.
"""

from dataclasses import dataclass

import numpy as np

from mlrpl.evaluation.metrics import precision_recall_f1

BINS = 15
# Of a run's own scores, and of those with thresholds from its validation split.
ECE = "ECE"
AT_THRESHOLDS = ("OF1_single", "CF1_single", "OF1_per_class", "CF1_per_class")


@dataclass(frozen=True)
class Thresholds:
    """Scores from which on a class is predicted.

    Attributes:
        single: one for all classes.
        per_class: [C].
    """

    single: float
    per_class: np.ndarray


def probabilities(scores: np.ndarray, threshold: float) -> np.ndarray:
    """Return the probabilities of ranking scores [N, C].

    Args:
        scores: logits where the threshold is 0 (`score: sigmoid`), else logarithms of
            probabilities (`score: softmax`).
        threshold: the score at which the probability is 0.5.
    """
    scores = scores.astype(float)
    if threshold == 0:
        return 0.5 * (1 + np.tanh(0.5 * scores))
    return np.exp(np.minimum(scores, 0))


def expected_calibration_error(p: np.ndarray, targets: np.ndarray) -> float:
    """Return the ECE of all judged cells, percent.

    Args:
        p: probabilities [N, C].
        targets: [N, C] of 1, -1 and 0 (ignored).
    """
    judged = targets != 0
    p, present = p[judged], targets[judged] == 1
    # A bin has its lower edge, and the last one 1 as well.
    place = np.minimum((p * BINS).astype(int), BINS - 1)
    sums = np.bincount(place, weights=p, minlength=BINS)
    found = np.bincount(place, weights=present, minlength=BINS)
    return float(100 * np.abs(sums - found).sum() / len(p))


def choose_thresholds(
    scores: np.ndarray, targets: np.ndarray, threshold: float
) -> Thresholds:
    """Return the thresholds with the best F1 on held-out images.

    Args:
        scores: [V, C] of the held-out images.
        targets: their known labels [V, C], 1 and -1; 0 is unknown.
        threshold: the score at which the probability is 0.5, for a class without a
            known positive.
    """
    per_class = [
        best_threshold(scores[:, c], targets[:, c], threshold)
        for c in range(scores.shape[1])
    ]
    single = best_threshold(scores.ravel(), targets.ravel(), threshold)
    return Thresholds(single, np.array(per_class))


def best_threshold(scores: np.ndarray, targets: np.ndarray, default: float) -> float:
    """Return the threshold with the best F1 of one class, of equals the highest.

    Args:
        scores: [V].
        targets: [V] of 1, -1 and 0 (not counted).
        default: what to return without a positive.
    """
    scores, present = scores[targets != 0].astype(float), targets[targets != 0] == 1
    if not present.any():
        return default
    order = np.argsort(-scores, kind="stable")
    scores, hits = scores[order], np.cumsum(present[order])
    accepted = np.arange(1, len(scores) + 1)
    # Cells of equal score are accepted together.
    last = np.append(scores[1:] != scores[:-1], True)
    f1 = np.where(last, 2 * hits / (accepted + hits[-1]), -1)
    best = int(np.argmax(f1))
    if best + 1 == len(scores):
        return float(scores[best])
    with np.errstate(invalid="ignore"):
        middle = (scores[best] + scores[best + 1]) / 2
    # Neighbours in floating point, or infinite ones, have no middle between them.
    inside = scores[best + 1] < middle <= scores[best]
    return float(middle if inside else scores[best])


def calibration(
    scores: np.ndarray,
    targets: np.ndarray,
    threshold: float,
    chosen: Thresholds | None,
) -> dict[str, float]:
    """Return the ECE, and F1 at thresholds that were chosen elsewhere, percent.

    Args:
        scores: [N, C] of the test images.
        targets: [N, C] of 1, -1 and 0 (ignored).
        threshold: the score at which the probability is 0.5.
        chosen: `choose_thresholds` of the held-out images; None without any.

    Returns:
        `ECE`, and with thresholds those of `AT_THRESHOLDS`.
    """
    p = probabilities(scores, threshold)
    found = {ECE: expected_calibration_error(p, targets)}
    if chosen is None:
        return found
    values = []
    for cut in (chosen.single, chosen.per_class):
        f1 = precision_recall_f1(scores >= cut, targets)
        values += [f1["OF1"], f1["CF1"]]
    return found | dict(zip(AT_THRESHOLDS, values, strict=True))


def as_probabilities(
    thresholds: Thresholds, threshold: float, classes: tuple[str, ...]
) -> dict[str, float]:
    """Return the probability from which on each class is predicted."""
    found = probabilities(thresholds.per_class, threshold)
    return dict(zip(classes, found.tolist(), strict=True))
