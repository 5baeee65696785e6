"""What a training says while it runs: history.csv, a line an epoch, TensorBoard.

None of it changes a number, and a training that goes on from a checkpoint writes the
epochs before it again.
"""

import csv
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from mlrpl.errors import UserError
from mlrpl.runtime.storage import atomic_path

COLUMNS = ("epoch", "lr", "loss", "mAP", "validation_mAP")


@dataclass(frozen=True)
class Epoch:
    """One line of the history; epoch 0 is the start, an mAP is None if not tested."""

    epoch: int
    lr: float | None
    loss: float | None
    mAP: float | None
    validation_mAP: float | None


def write_history(path: str | os.PathLike, history: Sequence[Epoch]) -> None:
    """Write history.csv, whole or not at all."""
    with atomic_path(path) as temporary, temporary.open("w", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(COLUMNS)
        for entry in history:
            writer.writerow("" if v is None else v for v in astuple(entry))


class Recorder:
    """Tells of each epoch when it has ended."""

    def __init__(self, folder: str | os.PathLike, tensorboard: bool = False):
        """Record into a run's folder.

        Args:
            folder: of the run.
            tensorboard: write its event files into the folder's `tensorboard`.

        Raises:
            UserError: TensorBoard is asked for and not installed.
        """
        self.folder = Path(folder)
        self.writer: Any = None
        self.written = 0
        if tensorboard:
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ImportError as error:
                raise UserError(
                    "tensorboard: is not installed; pip install tensorboard, or leave "
                    "tensorboard=true out"
                ) from error
            self.writer = SummaryWriter(str(self.folder / "tensorboard"))

    def __call__(self, history: Sequence[Epoch]) -> None:
        """Record what an epoch has added to the history."""
        write_history(self.folder / "history.csv", history)
        if self.writer is not None:
            for entry in history[self.written :]:
                for name in COLUMNS[1:]:
                    if (value := getattr(entry, name)) is not None:
                        self.writer.add_scalar(name, value, entry.epoch)
            self.writer.flush()
        self.written = len(history)


class Bar:
    """A bar where stderr is a terminal; a line an epoch where it is a log."""

    def __init__(self, first: int, epochs: int, shown: bool):
        """Start after `first` epochs, of `epochs`."""
        self.epochs, self.shown = epochs, shown
        self.terminal = sys.stderr.isatty()
        self.bar = tqdm(
            total=epochs,
            initial=first,
            desc="train",
            unit="epoch",
            mininterval=0.2,
            disable=not (shown and self.terminal),
        )
        self.started = time.perf_counter()

    def ended(self, entry: Epoch) -> None:
        """Say that an epoch has ended."""
        now = time.perf_counter()
        seconds, self.started = now - self.started, now
        numbers = {
            "loss": (entry.loss, ".4f"),
            "mAP": (entry.mAP, ".2f"),
            "validation mAP": (entry.validation_mAP, ".2f"),
        }
        said = [f"{k} {v:{form}}" for k, (v, form) in numbers.items() if v is not None]
        if entry.epoch:
            self.bar.set_postfix_str(", ".join(said), refresh=False)
            self.bar.update()
        if self.shown and not self.terminal:
            parts = ", ".join([*said, f"{seconds:.1f} s"])
            place = f"epoch {entry.epoch} of {self.epochs}"
            print(f"{place}: {parts}", file=sys.stderr, flush=True)

    def close(self) -> None:
        """Leave the bar as it is."""
        self.bar.close()
