"""SGD, Adam and AdamW by torch's fused kernels.

The functional form of `torch.optim`: the same updates, and as there each parameter has
a state of its own. Its classes import torch's compiler at their first use, which takes
longer than a small training.
"""

from collections.abc import Callable, Iterable
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.optim.adam import adam
from torch.optim.adamw import adamw
from torch.optim.sgd import sgd

BETAS, EPS = (0.9, 0.999), 1e-8  # torch's own defaults of AdamW

# The tensors that an optimiser keeps for a parameter, by their names; None before the
# parameter's first gradient.
State = dict[str, Tensor] | None


class Group:
    """Parameters that share a learning rate, a factor times the setting's."""

    def __init__(self, parameters: Iterable[nn.Parameter], factor: float):
        self.parameters = list(parameters)
        self.factor = factor


class Optimizer:
    """The steps, and what is remembered from one to the next.

    A parameter without a gradient has no part in a step: neither it nor its state
    changes, and it has no state before its first gradient.
    """

    # Which tensors a state has, and whether they are of the parameter's shape; the
    # others are single numbers.
    _kept: ClassVar[dict[str, bool]]

    def __init__(self, groups: list[Group], momentum: float, clip_norm: float = 0):
        self.groups, self.momentum, self.clip_norm = groups, momentum, clip_norm
        self._states: list[list[State]] = [[None] * len(g.parameters) for g in groups]

    @torch.no_grad()
    def step(self, lr: float, momentum: float | None = None) -> None:
        """Update the parameters from their gradients, and drop these.

        Before it, the gradient of all parameters together is clipped to `clip_norm`,
        unless that is 0.

        Args:
            lr: the learning rate.
            momentum: from now on, Adam's first beta; as it was if None.
        """
        if momentum is not None:
            self.momentum = momentum
        if self.clip_norm:
            every = [p for group in self.groups for p in group.parameters]
            nn.utils.clip_grad_norm_(every, self.clip_norm)
        for group, states in zip(self.groups, self._states, strict=True):
            moved = [i for i, p in enumerate(group.parameters) if p.grad is not None]
            if moved:
                self._update(group, states, moved, lr * group.factor)
            for parameter in group.parameters:
                parameter.grad = None

    def _update(
        self, group: Group, states: list[State], moved: list[int], lr: float
    ) -> None:
        """Update those parameters of a group that have a gradient, and their states."""
        raise NotImplementedError

    def state_dict(self) -> dict[str, Any]:
        """Return the states of all parameters, not copied."""
        return {"groups": self._states}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from the states of an optimiser of the same parameters.

        Raises:
            ValueError: when they are of others; then nothing is changed.
        """
        saved = state.get("groups") if isinstance(state, dict) else None
        count = len(self.groups)
        if not isinstance(saved, list) or len(saved) != count:
            raise ValueError(f"optimiser: the state is not one of {count} groups")
        # All are checked before any is taken.
        self._states = [
            self._fitting(group.parameters, saved[number], f"group {number}")
            for number, group in enumerate(self.groups)
        ]

    def _fitting(
        self, parameters: list[nn.Parameter], states: Any, where: str
    ) -> list[State]:
        """Return copies of a group's states, on the parameters' devices."""
        count = len(parameters)
        if not isinstance(states, list) or len(states) != count:
            raise ValueError(
                f"optimiser: {where}: not the states of {count} parameters"
            )
        for number, parameter in enumerate(parameters):
            if states[number] is not None:
                place = f"optimiser: {where}: parameter {number}"
                self._check(parameter, states[number], place)
        return [
            state and {k: state[k].to(p.device, copy=True) for k in self._kept}
            for p, state in zip(parameters, states, strict=True)
        ]

    def _check(self, parameter: nn.Parameter, state: Any, place: str) -> None:
        """Refuse a state that is not one of this parameter in this optimiser."""
        if not isinstance(state, dict) or set(state) != set(self._kept):
            raise ValueError(f"{place}: the state is not {', '.join(self._kept)}")
        for name, shaped in self._kept.items():
            tensor, shape = state[name], parameter.shape if shaped else torch.Size()
            if not isinstance(tensor, Tensor) or tensor.shape != shape:
                raise ValueError(f"{place}: {name} is not of shape {list(shape)}")
            if shaped and tensor.dtype != parameter.dtype:
                raise ValueError(f"{place}: {name} is not {parameter.dtype}")


class SGD(Optimizer):
    """Stochastic gradient descent with momentum and L2 weight decay."""

    _kept: ClassVar[dict[str, bool]] = {"momentum": True}

    def __init__(
        self,
        groups: list[Group],
        momentum: float,
        weight_decay: float,
        clip_norm: float = 0,
    ):
        super().__init__(groups, momentum, clip_norm)
        self.weight_decay = weight_decay

    def _update(
        self, group: Group, states: list[State], moved: list[int], lr: float
    ) -> None:
        new = [i for i in moved if states[i] is None]
        old = [i for i in moved if states[i] is not None]
        # A call of the kernel is the first step of all its parameters or of none.
        for places in (new, old):
            if not places:
                continue
            momenta = [
                state["momentum"] if (state := states[i]) else None for i in places
            ]
            sgd(
                [group.parameters[i] for i in places],
                [group.parameters[i].grad for i in places],
                momenta,
                fused=True,
                lr=lr,
                momentum=self.momentum,
                weight_decay=self.weight_decay,
                dampening=0.0,
                nesterov=False,
                maximize=False,
            )
            if self.momentum:  # without it the kernel makes none
                for i, momentum in zip(places, momenta, strict=True):
                    states[i] = {"momentum": momentum}


class _Moments(Optimizer):
    """Adam's moments; how weight decay comes in is the kernel's."""

    _kept: ClassVar[dict[str, bool]] = {"mean": True, "square": True, "steps": False}
    _kernel: Callable[..., None]

    def __init__(self, groups: list[Group], weight_decay: float, clip_norm: float = 0):
        super().__init__(groups, BETAS[0], clip_norm)
        self.weight_decay = weight_decay

    def _update(
        self, group: Group, states: list[State], moved: list[int], lr: float
    ) -> None:
        parameters = [group.parameters[i] for i in moved]
        for i, parameter in zip(moved, parameters, strict=True):
            if states[i] is None:
                states[i] = {
                    "mean": torch.zeros_like(parameter),
                    "square": torch.zeros_like(parameter),
                    "steps": torch.zeros((), device=parameter.device),
                }
        means, squares, steps = (
            [states[i][name] for i in moved] for name in self._kept
        )
        self._kernel(
            parameters,
            [p.grad for p in parameters],
            means,
            squares,
            [],
            steps,
            fused=True,
            amsgrad=False,
            lr=lr,
            beta1=self.momentum,
            beta2=BETAS[1],
            eps=EPS,
            weight_decay=self.weight_decay,
            maximize=False,
        )


class Adam(_Moments):
    """Adam (Kingma and Ba 2015) with L2 weight decay, a part of the gradient."""

    _kernel = staticmethod(adam)


class AdamW(_Moments):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019)."""

    _kernel = staticmethod(adamw)
