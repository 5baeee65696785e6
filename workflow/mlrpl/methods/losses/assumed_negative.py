"""Unknown labels taken for negatives: AN, AN-LS and WAN (Cole et al., CVPR 2021).

`losses.py` of elijahcole/single-positive-multi-label, whose data have no known
negatives. Here a known negative costs what it would if all labels were known: in AN as
much as an assumed one, in AN-LS smoothed as the known positives are, in WAN without the
small weight of an assumed one.
"""

from torch import Tensor

from mlrpl.methods.base import Loss
from mlrpl.methods.inputs import Inputs
from mlrpl.methods.losses.by_label import by_label, minus_logs
from mlrpl.methods.scores import Scores


class AssumedNegative(Loss):
    """AN: binary cross-entropy with every unknown label absent; mean over all B * C."""

    def __init__(self, inputs: Inputs | None = None):
        super().__init__()

    def forward(self, scores: Scores, labels: Tensor) -> Tensor:
        """Return the loss of a batch, a scalar."""
        positive, negative = minus_logs(scores)
        return by_label(labels, positive, negative, negative).mean()


class SmoothedAssumedNegative(Loss):
    """AN-LS: AN with targets 1 - a and a in the place of 1 and 0."""

    def __init__(self, inputs: Inputs | None = None, *, label_smoothing: float):
        """Take a, of known and assumed labels alike."""
        super().__init__()
        self.smoothing = label_smoothing

    def forward(self, scores: Scores, labels: Tensor) -> Tensor:
        """Return the loss of a batch, a scalar."""
        positive, negative = minus_logs(scores)
        present, absent = (
            (1 - self.smoothing) * own + self.smoothing * other
            for own, other in ((positive, negative), (negative, positive))
        )
        return by_label(labels, present, absent, absent).mean()


class WeakAssumedNegative(Loss):
    """WAN: AN with the weight 1 / (C - 1) for assumed negatives."""

    def __init__(self, inputs: Inputs | None = None):
        super().__init__()

    def forward(self, scores: Scores, labels: Tensor) -> Tensor:
        """Return the loss of a batch, a scalar."""
        positive, negative = minus_logs(scores)
        assumed = negative / max(labels.shape[1] - 1, 1)
        return by_label(labels, positive, negative, assumed).mean()
