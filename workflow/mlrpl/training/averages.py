"""The moving average of a method's weights, which is tested in their place."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor

from mlrpl.config.options import Options
from mlrpl.methods.method import Method


class WeightAverage:
    """An exponential moving average of the head's weights and running statistics.

    After each step a = d a + (1 - d) w, from the start on, without a correction for it:
    `ModelEma` of PartialLabelingCSL, of robust-loss-mlml, PU-MLC and SCPNet. These test
    the weights too and take the better of the two on the test set; here the average is
    what is tested and kept. What transfers and losses learn and remember is for the
    training alone and not averaged, and neither is a count, such as that of batches.
    """

    def __init__(self, method: Method, decay: float):
        """Start at the weights as they are.

        Args:
            method: the method, on its device.
            decay: d of each step.
        """
        self.decay = decay
        self._weights = method.head.state_dict(keep_vars=True)
        self.state = {n: t.detach().clone() for n, t in self._weights.items()}

    @torch.no_grad()
    def update(self) -> None:
        """Take the weights after a step."""
        for name, average in self.state.items():
            weight = self._weights[name].detach()
            if average.is_floating_point():
                average.mul_(self.decay).add_(weight, alpha=1 - self.decay)
            else:
                average.copy_(weight)

    def put(self) -> None:
        """Make the weights what the average is, at their places in memory."""
        self._write(self.state)

    @torch.no_grad()
    def _write(self, values: Mapping[str, Tensor]) -> None:
        for name, weight in self._weights.items():
            weight.copy_(values[name])

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Put the average in the weights' place, and the weights back after it."""
        before = {n: t.detach().clone() for n, t in self._weights.items()}
        self.put()
        try:
            yield
        finally:
            self._write(before)

    def check(self, state: Mapping[str, Tensor]) -> None:
        """Refuse a state of other weights.

        Raises:
            ValueError: it does not fit.
        """
        shapes = {name: tensor.shape for name, tensor in self.state.items()}
        if shapes != {name: tensor.shape for name, tensor in state.items()}:
            raise ValueError("the average is of other weights")

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Go on from a state that `check` took."""
        for name, tensor in self.state.items():
            tensor.copy_(state[name])


def average_of(method: Method, options: Options, steps: int) -> WeightAverage | None:
    """Return the average that the options ask for, None if none.

    Args:
        method: the method, on its device.
        options: the run's options.
        steps: of an epoch, over which `ema: epoch` spreads its decay.
    """
    if options.ema == "none":
        return None
    per_step = options.ema == "step"
    decay = options.ema_decay if per_step else options.ema_decay ** (1 / max(steps, 1))
    return WeightAverage(method, decay)
