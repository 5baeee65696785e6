"""From scaled cosines to probabilities (Eq. 9, and the sigmoid that the field uses)."""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class Scores(NamedTuple):
    """Probabilities [B, C] in the forms that stay exact at a scale of 100.

    Attributes:
        ranking: a number that grows with the probability and does not saturate.
        p: probability that the class is present.
        log_p: its logarithm.
        log_not_p: the logarithm of 1 - p.
    """

    ranking: Tensor
    p: Tensor
    log_p: Tensor
    log_not_p: Tensor

    @property
    def logits(self) -> Tensor:
        """log(p / (1 - p)): of a sigmoid its argument."""
        return self.log_p - self.log_not_p

    @property
    def not_p(self) -> Tensor:
        """1 - p, exact where p is close to 1."""
        return self.log_not_p.exp()


def sigmoid(logits: Tensor) -> Scores:
    """Score each class alone, by the logistic function of its logit."""
    return Scores(
        logits, torch.sigmoid(logits), F.logsigmoid(logits), F.logsigmoid(-logits)
    )


def softmax(logits: Tensor) -> Scores:
    """Score the classes against each other, Eq. 9 as printed."""
    log_p = F.log_softmax(logits, dim=-1)
    p = log_p.exp()
    # The clamp keeps log(0) and its gradient out where one class has all the mass.
    log_not_p = torch.log1p(-p.clamp(max=1 - 1e-6))
    return Scores(log_p, p, log_p, log_not_p)


SCORES = {"sigmoid": sigmoid, "softmax": softmax}

# The ranking at which p = 0.5.
THRESHOLDS = {"sigmoid": 0.0, "softmax": math.log(0.5)}
