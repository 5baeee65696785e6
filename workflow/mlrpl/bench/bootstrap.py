"""Resampling: metrics of resampled images from one sort, and by a new sort each."""

import numpy as np
import torch

from mlrpl.bench.inputs import make_labels
from mlrpl.bench.measuring import seconds
from mlrpl.bench.report import Row
from mlrpl.bench.sizes import Sizes
from mlrpl.evaluation.average_precision import average_precision
from mlrpl.statistics.resampling import RESAMPLES, image_counts
from mlrpl.statistics.weighted_metrics import WeightedMetrics


def measure(sizes: Sizes) -> list[Row]:
    """Measure the resamples of one run's random scores, on one core.

    Args:
        sizes: number of images and classes, and of resamples that are measured.
    """
    labels = make_labels(sizes.evaluated, len(sizes.datasets["coco2014"].names))
    labels[labels == 0] = -1  # as COCO's, which are all known
    scores = np.random.default_rng(1).standard_normal(labels.shape, np.float32)
    images, measured = len(labels), sizes.resampled
    counts = np.concatenate(list(image_counts(images, measured, 0)))[1:]
    limits = (torch.device("cpu"), sizes.repeats, sizes.budget)

    def once() -> None:
        WeightedMetrics(scores, labels, 0.0)(counts)

    def drawn() -> None:
        for _ in image_counts(images, measured, 0):
            pass

    def sorted_again() -> None:
        rows = np.repeat(np.arange(images), counts[0])
        average_precision(scores[rows], labels[rows])

    scale = RESAMPLES / measured
    ours = seconds(once, *limits) * scale
    draws = seconds(drawn, *limits) * scale
    naive = seconds(sorted_again, *limits) * RESAMPLES
    shape = f"{images:,} x {labels.shape[1]}, {RESAMPLES:,} resamples"
    of = f"from {measured:,}" if measured < RESAMPLES else "all measured"
    return [
        Row("all metrics and every class's AP, one sort", ours, "s", f"{shape}, {of}"),
        Row("the draws", draws, "s", of),
        Row("AP alone, sorted each time", naive, "s", f"{shape}, from 1"),
        Row("ratio", naive / (ours + draws), "x", ""),
    ]
