"""Curriculum labelling (Durand, Mehrasa and Mori, CVPR 2019, section 3.3).

The model labels what it is sure of and goes on with these labels, from the easy ones to
the hard ones. This is the paper's strategy by score: a label whose score is beyond a
threshold on either side. Its strategies by the model's uncertainty, for which an image
is scored many times, are not here; no code of its authors was found.
"""

from collections.abc import Hashable

import torch
from torch import Tensor

from mlrpl.methods.base import Step, TrainingImages, Transfer
from mlrpl.methods.inputs import Inputs

# Images that are scored at once before an epoch.
IMAGES = 256


class CurriculumLabeling(Transfer):
    """The loss of the known labels and of those that the model is sure of.

    Attributes:
        predicted: [N, C], 1 and -1 for unknown labels that were predicted, else 0.
    """

    needs_class_features = False
    predicted: Tensor

    def __init__(
        self,
        inputs: Inputs,
        *,
        transfer_epoch: int,
        curriculum_threshold: float,
        curriculum_every: int,
    ):
        """Start without predicted labels.

        Args:
            inputs: the partial labels [N, C].
            transfer_epoch: epochs before labels are predicted for the first time.
            curriculum_threshold: probability from which a class is predicted to be
                present; below 1 minus it, absent.
            curriculum_every: epochs from one prediction to the next.
        """
        super().__init__()
        self.transfer_epoch, self.every = transfer_epoch, curriculum_every
        self.threshold = curriculum_threshold
        predicted = torch.zeros(inputs.known.shape, dtype=torch.int8)
        self.register_buffer("predicted", predicted)

    def start_epoch(self, epoch: int, training: TrainingImages) -> Hashable:
        """Predict unknown labels where it is time to."""
        before = epoch - 1 - self.transfer_epoch
        if before >= 0 and before % self.every == 0:
            for batch, scores in training.scored(IMAGES):
                self.predicted[batch.images] = self.predict(scores.p, batch.labels)
        return None

    def predict(self, p: Tensor, labels: Tensor) -> Tensor:
        """Return 1 and -1 for unknown labels [B, C] that are beyond the threshold."""
        sure = (p >= self.threshold).to(torch.int8)
        sure -= (p <= 1 - self.threshold).to(torch.int8)
        return sure.masked_fill(labels != 0, 0)

    def forward(self, step: Step) -> Tensor:
        """Return the loss of a step."""
        labels = step.batch.labels
        predicted = self.predicted[step.batch.images].to(labels.dtype)
        return step.loss(step.scores, torch.where(labels == 0, predicted, labels))
