"""The learning rate, epoch by epoch, or step by step in a single cycle."""

import math
from typing import NamedTuple

from mlrpl.config.options import Options

# Of torch's `OneCycleLR`: how much smaller than `lr` the rate is at the start, how much
# smaller than that at the end; and momentum at the highest rate and at both ends.
START, END = 25.0, 1e4
LOW, HIGH = 0.85, 0.95


class Rate(NamedTuple):
    """What a step of the optimiser takes.

    Attributes:
        lr: the learning rate.
        momentum: in place of the optimiser's own (Adam's first beta), if not None.
    """

    lr: float
    momentum: float | None = None


def rates(options: Options, epoch: int, steps: int) -> list[Rate]:
    """Return what each step of an epoch takes.

    Args:
        options: the run's options.
        epoch: its number, the first being 0.
        steps: of an epoch.
    """
    if options.schedule != "one_cycle" or epoch < options.warmup_epochs:
        return [Rate(learning_rate(options, epoch))] * steps
    epochs = options.one_cycle_epochs or options.epochs - options.warmup_epochs
    first = (epoch - options.warmup_epochs) * steps
    return [
        one_cycle(options, step, epochs * steps) for step in range(first, first + steps)
    ]


def learning_rate(options: Options, epoch: int) -> float:
    """Return the learning rate of an epoch, the first being 0.

    Constant in the warm-up. Then a cosine over `epochs` epochs as in CoOp's code, whose
    schedule starts after the warm-up and therefore ends a little above zero; or by a
    factor every so many epochs; or constant.
    """
    if epoch < options.warmup_epochs:
        return options.warmup_lr
    done = epoch - options.warmup_epochs
    if options.schedule == "constant":
        return options.lr
    if options.schedule == "step":
        return options.lr * options.step_factor ** (done // options.step_epochs)
    return options.lr * (1 + math.cos(math.pi * (done / options.epochs))) / 2


def one_cycle(options: Options, step: int, total: int) -> Rate:
    """Return what a step takes in a cycle of so many, the first being 0.

    Up by a cosine to `lr` in the share `one_cycle_pct` of them, then down (Smith and
    Topin 2018), as torch's `OneCycleLR` has it; after the last one as at the last one.
    """
    top = options.one_cycle_pct * total - 1
    highest, lowest = options.lr, options.lr / START / END
    if step <= top:
        done = step / top if top else 1.0
        lr = between(options.lr / START, highest, done)
        momentum = between(HIGH, LOW, done)
    else:
        rest = total - 1 - top
        done = min((step - top) / rest, 1.0) if rest > 0 else 1.0
        lr, momentum = between(highest, lowest, done), between(LOW, HIGH, done)
    return Rate(lr, momentum if options.one_cycle_momentum else None)


def between(start: float, end: float, done: float) -> float:
    """Return what a cosine from start to end has reached at a share of the way."""
    return end + (start - end) / 2 * (1 + math.cos(math.pi * done))
