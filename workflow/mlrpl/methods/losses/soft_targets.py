"""Targets between a negative and a positive."""

import torch
from torch import Tensor


def mixed(positive: Tensor, negative: Tensor, targets: Tensor) -> Tensor:
    """Return the cost of targets between the cost of a positive and of a negative.

    t positive + (1 - t) negative for t > 0, and for t < 0 the reverse with -t; with the
    two terms of the binary cross-entropy that is the lab's partial BCE (`BCELoss` of
    HCP-MLR-PL). A gradient flows into the targets too.

    Args:
        positive: what a positive costs, [B, C].
        negative: what a negative costs, [B, C].
        targets: t, from -1 to 1, [B, C]; what is given for 0 means nothing.
    """
    share, up = targets.abs(), targets > 0
    own, other = (
        torch.where(up, positive, negative),
        torch.where(up, negative, positive),
    )
    return share * own + (1 - share) * other
