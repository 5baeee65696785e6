"""What the lab's transfers share: a first stage without transfer, losses that grow."""

from collections.abc import Hashable

import torch
from torch import Tensor

from mlrpl.methods.base import TrainingImages, Transfer


class StagedTransfer(Transfer):
    """A transfer that sets in after some epochs.

    In the first epoch the weight of what comes on top of the labels' loss grows from 0,
    step by step, as in the `Train` functions of HCP-MLR-PL.

    Attributes:
        started: whether transfer has set in.
    """

    ramp: Tensor

    def __init__(self, transfer_epoch: int):
        """Take the number of epochs before transfer sets in."""
        super().__init__()
        self.transfer_epoch = transfer_epoch
        self.started = transfer_epoch == 0
        # The factor of the losses on top; `start_epoch` sets it, so it is not kept.
        self.register_buffer("ramp", torch.zeros(()), persistent=False)
        self._growth = 0.0

    def start_epoch(self, epoch: int, training: TrainingImages) -> Hashable:
        """Set the stage and the ramp of an epoch, the first being 1."""
        self.started = epoch > self.transfer_epoch
        self.ramp.fill_(epoch > 1)
        self._growth = 1 / training.steps if epoch == 1 else 0.0
        return self.started

    def due(self, epoch: int, every: int) -> bool:
        """Say whether an epoch is the first with transfer, or so many after it."""
        return self.started and (epoch - 1 - self.transfer_epoch) % every == 0

    def begin(self) -> None:
        """Let transfer set in now."""
        self.started = True
        self.ramp.fill_(1)

    def after_step(self) -> None:
        """Let the ramp grow in the first epoch."""
        if self._growth:
            self.ramp += self._growth
