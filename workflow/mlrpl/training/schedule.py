"""The learning rate, epoch by epoch."""

import math

from mlrpl.config.options import Options


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
