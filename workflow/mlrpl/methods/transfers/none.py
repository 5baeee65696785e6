"""No transfer: the loss of the known labels alone."""

from torch import Tensor

from mlrpl.methods.base import Step, Transfer
from mlrpl.methods.inputs import Inputs


class NoTransfer(Transfer):
    """Leave unknown labels unknown."""

    needs_class_features = False

    def __init__(self, inputs: Inputs):
        super().__init__()

    def forward(self, step: Step) -> Tensor:
        """Return the loss of the scores."""
        return step.loss(step.scores, step.batch.labels)
