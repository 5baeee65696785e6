"""A linear classifier for each of several inputs."""

import math

import torch
from torch import Tensor, nn


class Classifiers(nn.Module):
    """Logits w_c . o_c + b_c, each of an input of its own."""

    def __init__(self, classes: int, width: int):
        """Draw weights [C, D] and biases [C] from +-1 / sqrt(D), as SSGRL's code."""
        super().__init__()
        bound = 1 / math.sqrt(width)
        self.weight = nn.Parameter(torch.empty(classes, width).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(classes).uniform_(-bound, bound))

    def forward(self, outputs: Tensor) -> Tensor:
        """Return the logits [B, C] of outputs [B, C, D]."""
        return (outputs * self.weight).sum(dim=-1) + self.bias
