"""Losses over the known labels.

Each is an `nn.Module` with `from_options(options)` and
`forward(scores: Scores, labels)`; labels [B, C] are 1 present, -1 absent, 0 unknown.
"""

from mlrpl.losses.p_asl import PartialAsymmetricLoss
from mlrpl.losses.p_bce import PartialBCE

LOSSES = {"p_asl": PartialAsymmetricLoss, "p_bce": PartialBCE}

__all__ = ["LOSSES"]
