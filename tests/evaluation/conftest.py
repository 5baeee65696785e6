"""Scores and targets with ties and ignored labels."""

import numpy as np
import pytest


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
