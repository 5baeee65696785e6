"""Training one setting from cached features (Algorithm 1)."""

import itertools
import math
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import astuple, dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import torch

from mlrpl.config.options import Options
from mlrpl.errors import UserError
from mlrpl.methods.base import Batch
from mlrpl.methods.method import Method
from mlrpl.training.averages import WeightAverage, average_of
from mlrpl.training.batches import Split
from mlrpl.training.checkpoints import Checkpoint
from mlrpl.training.gradients import Gradients, gradients_of
from mlrpl.training.history import Bar, Epoch
from mlrpl.training.optimizers import SGD, Adam, AdamW, Group, Optimizer
from mlrpl.training.schedule import Rate, rates

# The mean over the classes of the average precision of scores [N, C], given labels.
MeanAP = Callable[[np.ndarray, np.ndarray], float]

# Images that are scored at once; only memory and speed depend on it.
TEST_BATCH = 256


@dataclass(frozen=True)
class Splits:
    """The images of a training.

    Attributes:
        training: features with the partial labels.
        test: features with the full labels, used for nothing but scores and mAP.
        validation: training images that are held out, with their known labels.
    """

    training: Split
    test: Split
    validation: Split | None = None


@dataclass(frozen=True)
class Result:
    """What a training leaves.

    Attributes:
        history: one entry an epoch.
        last: test scores [N, C] (`Scores.ranking`) after the last epoch.
        best: those of the epoch with the best test mAP, which nothing else uses.
        best_epoch: that epoch.
        validated: what the validation split chose; None without one.
    """

    history: list[Epoch]
    last: np.ndarray
    best: np.ndarray
    best_epoch: int
    validated: "Validated | None" = None


@dataclass(frozen=True)
class Validated:
    """The epoch with the best mAP of the validation split, the first of equal ones.

    Attributes:
        epoch: its number.
        mAP: of the held-out images, percent.
        test: test scores [N, C] after it.
        held: scores of the held-out images [V, C] after it.
        held_last: those after the last epoch.
    """

    epoch: int
    mAP: float
    test: np.ndarray
    held: np.ndarray
    held_last: np.ndarray


def make_optimizer(options: Options, method: Method) -> Optimizer:
    """Return the optimiser over the method's groups of parameters."""
    groups = [
        Group(own.parameters, own.factor if own.rate is None else own.rate / options.lr)
        for own in method.groups()
    ]
    decay, clip = options.weight_decay, options.clip_norm
    if options.optimizer == "sgd":
        return SGD(groups, options.momentum, decay, clip)
    return {"adam": Adam, "adamw": AdamW}[options.optimizer](groups, decay, clip)


@dataclass
class Progress:
    """What a training has found so far; a checkpoint keeps it beside the state."""

    history: list[Epoch] = field(default_factory=list)
    best: np.ndarray = field(default_factory=lambda: np.empty(0))
    best_epoch: int = 0
    best_map: float = -math.inf
    validated: Validated | None = None

    def tested(self, scores: np.ndarray, epoch: int, found: float) -> None:
        """Remember a test's scores if no test was better."""
        if found > self.best_map or self.best_epoch == 0:
            self.best, self.best_epoch, self.best_map = scores, epoch, found

    def held_out(
        self, held: np.ndarray, test: np.ndarray, epoch: int, found: float
    ) -> None:
        """Remember the scores of held-out and test images if none were better."""
        before = self.validated
        if before is None or found > before.mAP:
            self.validated = Validated(epoch, found, test, held, held)
        else:
            self.validated = replace(before, held_last=held)

    def to_state(self) -> dict[str, Any]:
        """Return what a checkpoint holds of it."""
        return {
            "history": [list(astuple(entry)) for entry in self.history],
            "best": torch.from_numpy(self.best),
            "best_epoch": self.best_epoch,
            "best_map": self.best_map,
            "validated": self.validated
            and {
                name: torch.from_numpy(v) if isinstance(v, np.ndarray) else v
                for name, v in vars(self.validated).items()
            },
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> "Progress":
        """Return what `to_state` was made of."""
        validated = state["validated"] and {
            name: v.numpy() if isinstance(v, torch.Tensor) else v
            for name, v in state["validated"].items()
        }
        return cls(
            [Epoch(*entry) for entry in state["history"]],
            state["best"].numpy(),
            state["best_epoch"],
            state["best_map"],
            validated and Validated(**validated),
        )


def train(
    method: Method,
    options: Options,
    splits: Splits,
    seed: int,
    mean_ap: MeanAP,
    progress: bool = True,
    checkpoint: Checkpoint | None = None,
    record: Callable[[Sequence[Epoch]], None] | None = None,
) -> Result:
    """Train on the known labels and score the test images.

    What an epoch does depends on the seed, its number and the state before it, so that
    a training that goes on from a checkpoint ends with the same bits.

    Args:
        method: the method, on its device; trained in place.
        options: the run's options.
        splits: the images, on the method's device.
        seed: orders the images of each epoch.
        mean_ap: of scores, for the history and the best epoch.
        progress: show a bar on stderr, or a line an epoch where it is no terminal.
        checkpoint: where a killed training left its state, and this one leaves its own.
        record: is told the history after each epoch.

    Raises:
        UserError: when the loss is no longer a number.
    """
    training, test, validation = splits.training, splits.test, splits.validation
    gradients = gradients_of(method, training.device)
    optimizer = make_optimizer(options, method)
    steps = math.ceil(len(training) / options.batch_size)
    average = average_of(method, options, steps)
    found, last = Progress(), np.empty(0)
    targets = test.labels.cpu().numpy()
    if checkpoint and (restored := restore(checkpoint, method, optimizer, average)):
        found = restored
        print(f"going on after epoch {found.history[-1].epoch}", file=sys.stderr)
    first = found.history[-1].epoch + 1 if found.history else 0
    bar = Bar(max(first - 1, 0), options.epochs, progress)
    for epoch in range(first, options.epochs + 1):
        lr = loss = test_map = held_map = None
        if epoch:
            due = rates(options, epoch - 1, steps)
            lr = due[-1].lr
            torch.manual_seed(draws_seed(seed, epoch))
            gradients.phase = method.start_epoch(epoch, training.batches, steps)
            batches = training.shuffled(options.batch_size, seed, epoch)
            loss = run_epoch(gradients, optimizer, due, batches, average)
            if not math.isfinite(loss):
                training.check_features()
                raise UserError(
                    f"options: lr: {options.lr}: the loss is {loss} in epoch {epoch}; "
                    "lower lr or scale"
                )
        final = epoch == options.epochs
        if final or (epoch and epoch % options.eval_every == 0):
            with average.in_place() if average else nullcontext():
                last = score(method, test)
                held = score(method, validation) if validation is not None else None
            test_map = mean_ap(last, targets)
            found.tested(last, epoch, test_map)
            if validation is not None:
                held_map = mean_ap(held, validation.labels.cpu().numpy())
                found.held_out(held, last, epoch, held_map)
        if epoch or final:
            found.history.append(Epoch(epoch, lr, loss, test_map, held_map))
            bar.ended(found.history[-1])
            if record is not None:
                record(found.history)
        if checkpoint and epoch and not final:
            checkpoint.offer(partial(state_of, method, optimizer, found, average))
    if average:
        average.put()
    bar.close()
    return Result(found.history, last, found.best, found.best_epoch, found.validated)


def draws_seed(seed: int, epoch: int) -> int:
    """Return what an epoch's random draws start from; no generator's state is kept."""
    return int(np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)[0])


def state_of(
    method: Method,
    optimizer: Optimizer,
    found: Progress,
    average: WeightAverage | None,
) -> dict[str, Any]:
    """Return what a checkpoint holds after an epoch."""
    return {
        "method": method.state_dict(),
        "optimizer": optimizer.state_dict(),
        "progress": found.to_state(),
        "average": average and average.state,
    }


def restore(
    checkpoint: Checkpoint,
    method: Method,
    optimizer: Optimizer,
    average: WeightAverage | None,
) -> Progress | None:
    """Put a checkpoint's state where it was; None if there is none that fits."""
    found: list[Progress] = []

    def put(state: dict[str, Any]) -> None:
        """Change nothing before all of it is known to fit."""
        progress = Progress.from_state(state["progress"])
        own = method.state_dict()
        shapes = {name: tensor.shape for name, tensor in own.items()}
        if shapes != {name: saved.shape for name, saved in state["method"].items()}:
            raise ValueError("it is of another method")
        if average:
            average.check(state["average"])
        optimizer.load_state_dict(state["optimizer"])
        method.load_state_dict(state["method"])
        if average:
            average.load(state["average"])
        found.append(progress)

    return found[0] if checkpoint.restore(put) else None


def run_epoch(
    gradients: Gradients,
    optimizer: Optimizer,
    lr: float | Iterable[Rate],
    batches: Iterable[Batch],
    average: WeightAverage | None = None,
) -> float:
    """Take one optimiser step a batch; return the mean loss over the images.

    Args:
        gradients: of the method.
        optimizer: of its parameters.
        lr: the learning rate, or what each step takes.
        batches: of the epoch.
        average: takes the weights after each step.
    """
    method = gradients.method
    method.train()
    total, images = torch.zeros(()), 0
    due = itertools.repeat(Rate(lr)) if isinstance(lr, float | int) else iter(lr)
    for batch in batches:
        loss = gradients(batch)
        optimizer.step(*next(due))
        method.after_step()
        if average:
            average.update()
        total = total.to(loss.device) + loss * len(batch.labels)
        images += len(batch.labels)
    return float(total) / max(images, 1)


@torch.no_grad()
def score(method: Method, split: Split) -> np.ndarray:
    """Return the ranking scores [N, C], float32, of a split's first view."""
    method.eval()
    prepared = method.prepare()
    parts = [
        method.score_images(batch.features, prepared)
        for batch in split.batches(TEST_BATCH)
    ]
    return torch.cat(parts).float().cpu().numpy()
