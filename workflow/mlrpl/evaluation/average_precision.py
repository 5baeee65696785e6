"""Average precision of one class under three definitions.

Cells of equal score are accepted together, so precision and recall are measured at the
distinct scores only and no AP depends on the order of the rows. `envelope` is the area
under the precision envelope (VOC 2010 and later, the lab's headline number),
`noninterpolated` the sum of precision times step in recall, `eleven_point` VOC 2007's
mean over the recalls 0, 0.1, ..., 1.

Apart from the other metrics, because a training finds its best epoch with it: a change
of another metric trains nothing again.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class AveragePrecision:
    """Three definitions of AP for each class, percent, [C] each; nan: no positive."""

    envelope: np.ndarray
    noninterpolated: np.ndarray
    eleven_point: np.ndarray


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


def mean_average_precision(scores: np.ndarray, targets: np.ndarray) -> float:
    """Return the mAP, percent: the mean of the envelope AP over classes that have one.

    Args:
        scores: [N, C] without nan.
        targets: [N, C] of 1, -1 and 0 (ignored).
    """
    return float(np.nanmean(average_precision(scores, targets).envelope))
