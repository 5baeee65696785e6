"""SGD and AdamW by torch's fused kernels.

The functional form of `torch.optim`: the same updates. Its classes import torch's
compiler at their first use, which takes longer than a small training.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.optim.adamw import adamw
from torch.optim.sgd import sgd

BETAS, EPS = (0.9, 0.999), 1e-8  # torch's own defaults of AdamW


class Group:
    """Parameters that share a learning rate, a factor times the setting's.

    Parameters that got no gradient in the first step take no part, as in torch.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], factor: float):
        self.parameters = list(parameters)
        self.factor = factor
        self.used: list[nn.Parameter] = []
        self.state: list[list] = []

    def start(self, make_state) -> list[Tensor]:
        """Return the gradients; at the first step also make the state."""
        if not self.used:
            self.used = [p for p in self.parameters if p.grad is not None]
            self.state = self.state or make_state(self.used)
        return [p.grad for p in self.used]

    def restore(self, state: list[list]) -> None:
        """Take the state of an earlier group of the same parameters."""
        device = self.parameters[0].device if self.parameters else None
        self.state = [[tensor.to(device) for tensor in part] for part in state]

    def clear(self) -> None:
        """Drop the gradients."""
        for parameter in self.parameters:
            parameter.grad = None


class SGD:
    """Stochastic gradient descent with momentum and L2 weight decay."""

    def __init__(self, groups: list[Group], momentum: float, weight_decay: float):
        self.groups = groups
        self.momentum, self.weight_decay = momentum, weight_decay

    @torch.no_grad()
    def step(self, lr: float) -> None:
        """Update all parameters from their gradients, and drop these."""
        for group in self.groups:
            gradients = group.start(lambda used: [[None] * len(used)])
            if group.used:
                sgd(
                    group.used,
                    gradients,
                    *group.state,
                    fused=True,
                    lr=lr * group.factor,
                    momentum=self.momentum,
                    weight_decay=self.weight_decay,
                    dampening=0.0,
                    nesterov=False,
                    maximize=False,
                )
            group.clear()


class AdamW:
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019)."""

    def __init__(self, groups: list[Group], weight_decay: float):
        self.groups = groups
        self.weight_decay = weight_decay

    @torch.no_grad()
    def step(self, lr: float) -> None:
        """Update all parameters from their gradients, and drop these."""
        for group in self.groups:
            gradients = group.start(
                lambda used: [
                    [torch.zeros_like(p) for p in used],
                    [torch.zeros_like(p) for p in used],
                    [],
                    [torch.zeros((), device=p.device) for p in used],
                ]
            )
            if group.used:
                adamw(
                    group.used,
                    gradients,
                    *group.state,
                    fused=True,
                    amsgrad=False,
                    lr=lr * group.factor,
                    beta1=BETAS[0],
                    beta2=BETAS[1],
                    eps=EPS,
                    weight_decay=self.weight_decay,
                    maximize=False,
                )
            group.clear()
