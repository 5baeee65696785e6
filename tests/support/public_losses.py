"""Losses on the logits and labels of public code's numbers, with their gradients."""

import torch
from torch import Tensor

from mlrpl.methods.base import Batch, Loss
from mlrpl.methods.inputs import Inputs
from mlrpl.methods.scores import sigmoid


class NoImages:
    """Training images that nothing is asked of."""

    steps = 4

    def scored(self, size):
        return iter(())


def inputs_of(known: Tensor) -> Inputs:
    """The inputs of a loss: partial labels and nothing else."""
    return Inputs(3, 3, torch.zeros(known.shape[1], 2), clip=None, known=known)


def batch_of(labels: Tensor) -> Batch:
    """All training images as one batch."""
    return Batch(torch.zeros(len(labels), 1), labels, torch.arange(len(labels)))


def take(loss: Loss, logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """A loss of logits and labels, and its gradient for the logits."""
    x = logits.clone().requires_grad_()
    more = [batch_of(labels)] if loss.needs_batch else []
    value = loss(sigmoid(x), labels, *more)
    value.backward()
    return value.detach(), x.grad


def check(loss: Loss, data: dict[str, Tensor], labels: Tensor, case: str, factor=1):
    """Compare loss and gradient with a case of public code."""
    value, gradient = take(loss, data["logits"], labels.to(torch.int8))
    name = f"{case}.loss" if f"{case}.loss" in data else f"{case}.loss_sum"
    close = {"rtol": 1e-5, "atol": 1e-5}
    torch.testing.assert_close(value * factor, data[name], **close)
    torch.testing.assert_close(gradient * factor, data[f"{case}.g.logits"], **close)
