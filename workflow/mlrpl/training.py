"""Training one setting from cached features (Algorithm 1)."""

import math
import sys
from collections.abc import Iterable
from dataclasses import astuple, dataclass
from functools import partial

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from mlrpl.average_precision import average_precision
from mlrpl.checkpoints import Checkpoint
from mlrpl.errors import UserError
from mlrpl.gradients import Gradients, gradients_of
from mlrpl.losses import LOSSES
from mlrpl.model import Recognizer
from mlrpl.optimizers import SGD, AdamW, Group
from mlrpl.options import Options
from mlrpl.training_data import Batch, Split

# Images that are scored at once; only memory and speed depend on it.
TEST_BATCH = 256


@dataclass(frozen=True)
class Epoch:
    """One line of the history; epoch 0 is the start, `mAP` is None if not tested."""

    epoch: int
    lr: float | None
    loss: float | None
    mAP: float | None


@dataclass(frozen=True)
class Result:
    """What a training leaves.

    Attributes:
        history: one entry an epoch.
        last: test scores [N, C] (`Scores.ranking`) after the last epoch.
        best: those of the epoch with the best test mAP, which nothing else uses.
        best_epoch: that epoch.
    """

    history: list[Epoch]
    last: np.ndarray
    best: np.ndarray
    best_epoch: int


def learning_rate(options: Options, epoch: int) -> float:
    """Return the learning rate of an epoch, the first being 0.

    Constant in the warm-up, then a cosine over `epochs` epochs as in CoOp's code, whose
    schedule starts after the warm-up and therefore ends a little above zero.
    """
    if epoch < options.warmup_epochs:
        return options.warmup_lr
    if options.schedule == "constant":
        return options.lr
    done = (epoch - options.warmup_epochs) / options.epochs
    return options.lr * (1 + math.cos(math.pi * done)) / 2


def make_optimizer(options: Options, model: Recognizer) -> SGD | AdamW:
    """Return the optimiser over the visual module and the rest, as two groups."""
    visual = list(model.visual.parameters())
    rest = [p for name, p in model.named_parameters() if not name.startswith("visual.")]
    groups = [Group(visual, options.lr_visual), Group(rest, 1.0)]
    if options.optimizer == "adamw":
        return AdamW(groups, options.weight_decay)
    return SGD(groups, options.momentum, options.weight_decay)


def train(
    model: Recognizer,
    options: Options,
    training: Split,
    test: Split,
    seed: int,
    progress: bool = True,
    checkpoint: Checkpoint | None = None,
) -> Result:
    """Train on the known labels and score the test images.

    What an epoch does depends on the seed, its number and the state before it, so that
    a training that goes on from a checkpoint ends with the same bits.

    Args:
        model: the recognizer, on its device; trained in place.
        options: the setting's options.
        training: features with the partial labels.
        test: features with the full labels, used for nothing but scores and mAP.
        seed: orders the images of each epoch.
        progress: show a bar on stderr.
        checkpoint: where a killed training left its state, and this one leaves its own.

    Raises:
        UserError: when the loss is no longer a number.
    """
    loss_function = LOSSES[options.loss].from_options(options)
    gradients = gradients_of(model, loss_function, training.device)
    optimizer = make_optimizer(options, model)
    history: list[Epoch] = []
    best = last = np.empty(0)
    best_epoch, best_map = 0, -math.inf
    targets = test.labels.cpu().numpy()
    first = 0
    if checkpoint and (state := checkpoint.load()):
        restore(model, optimizer, state)
        history = [Epoch(*entry) for entry in state["history"]]
        best, best_epoch, best_map = (
            state["best"].numpy(),
            state["best_epoch"],
            state["best_map"],
        )
        first = history[-1].epoch + 1
        print(f"going on after epoch {first - 1}", file=sys.stderr)
    bar = tqdm(
        range(first, options.epochs + 1),
        initial=first,
        total=options.epochs + 1,
        desc="train",
        unit="epoch",
        mininterval=0.2 if sys.stderr.isatty() else 20,
        disable=not progress,
    )
    for epoch in bar:
        lr = loss = test_map = None
        if epoch:
            lr = learning_rate(options, epoch - 1)
            batches = training.shuffled(options.batch_size, seed, epoch)
            loss = run_epoch(gradients, optimizer, lr, batches)
            if not math.isfinite(loss):
                raise UserError(
                    f"options: lr: {options.lr}: the loss is {loss} in epoch {epoch}; "
                    "lower lr or scale"
                )
        final = epoch == options.epochs
        if final or (epoch and epoch % options.eval_every == 0):
            last = score(model, test)
            test_map = float(np.nanmean(average_precision(last, targets).envelope))
            if test_map > best_map or best_epoch == 0:
                best, best_epoch, best_map = last, epoch, test_map
            bar.set_postfix(loss=loss, mAP=test_map, refresh=False)
        if epoch or final:
            history.append(Epoch(epoch, lr, loss, test_map))
        if checkpoint and epoch and not final:
            found = {"best": best, "best_epoch": best_epoch, "best_map": best_map}
            checkpoint.offer(partial(state_of, model, optimizer, history, found))
    return Result(history, last, best, best_epoch)


def state_of(
    model: Recognizer, optimizer: SGD | AdamW, history: list[Epoch], found: dict
) -> dict:
    """Return what a checkpoint holds after an epoch."""
    return {
        "weights": model.trained(),
        "optimizer": [group.state for group in optimizer.groups],
        "history": [list(astuple(entry)) for entry in history],
        **found,
        "best": torch.from_numpy(found["best"]),
    }


@torch.no_grad()
def restore(model: Recognizer, optimizer: SGD | AdamW, state: dict) -> None:
    """Put a checkpoint's weights and momenta where they were."""
    for name, parameter in model.named_parameters():
        parameter.copy_(state["weights"][name])
    for group, saved in zip(optimizer.groups, state["optimizer"], strict=True):
        group.restore(saved)


def run_epoch(
    gradients: Gradients, optimizer: SGD | AdamW, lr: float, batches: Iterable[Batch]
) -> float:
    """Take one optimiser step a batch; return the mean loss over the images."""
    total, images = torch.zeros(()), 0
    for batch in batches:
        loss = gradients(batch)
        optimizer.step(lr)
        total = total.to(loss.device) + loss * len(batch.labels)
        images += len(batch.labels)
    return float(total) / max(images, 1)


@torch.no_grad()
def score(model: nn.Module, split: Split) -> np.ndarray:
    """Return the ranking scores [N, C], float32, of a split's first view."""
    text = model.text_features()
    parts = [model(batch.features, text).ranking for batch in split.batches(TEST_BATCH)]
    return torch.cat(parts).float().cpu().numpy()
