"""A training's state on disk, from which a killed one goes on."""

import hashlib
import json
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

from mlrpl.errors import UserError, printable
from mlrpl.runtime.storage import atomic_path

# Seconds between two checkpoints: at least so many, and at least so many times what
# the last one took, which bounds their share of the time to 2 %.
INTERVAL, SHARE = 20.0, 50.0

# What putting a state in its place raises where it does not fit.
UNFIT = (
    KeyError,
    ValueError,
    RuntimeError,
    TypeError,
    AttributeError,
    IndexError,
)


def fingerprint(values: Mapping[str, Any], files: Iterable[str | os.PathLike]) -> str:
    """Return a hash of values and of files' contents.

    Args:
        values: what JSON can hold.
        files: read whole, in pieces: they may be large.
    """
    digest = hashlib.sha256(json.dumps(values, sort_keys=True).encode())
    for path in files:
        with open(path, "rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


class Checkpoint:
    """One file, made now and then, for one training.

    Args:
        path: the file; a folder that is not there is made.
        made_of: fingerprint of all that the training depends on. A file of another
            one is of no use and is not read.
        interval: least number of seconds between two.
    """

    def __init__(self, path: Path, made_of: str, interval: float = INTERVAL):
        self.path, self.made_of, self.interval = path, made_of, interval
        self.saved, self.took = time.monotonic(), 0.0

    def restore(self, put: Callable[[dict[str, Any]], None]) -> bool:
        """Give the state that was saved last to `put`, and return whether it took it.

        A file that is damaged, of another training, or whose state does not fit is
        told in a line on stderr: the training begins anew, and its first checkpoint
        replaces the file.

        Args:
            put: goes on from a state. Where it does not fit, `put` raises one of
                `UNFIT`, and leaves nothing that the training then starts from
                half-changed.
        """
        if not os.path.lexists(self.path):
            return False
        try:
            with warnings.catch_warnings():  # torch's, of what a damaged file may be
                warnings.simplefilter("ignore")
                content = torch.load(self.path, map_location="cpu", weights_only=True)
                ours, state = content["made_of"] == self.made_of, content["state"]
        # What a damaged file raises depends on where the damage is.
        except Exception as error:
            return self._anew(f"unreadable ({type(error).__name__})")
        if not ours:
            return self._anew("of another training")
        try:
            put(state)
        except UNFIT as error:
            return self._anew(f"does not fit ({type(error).__name__})")
        return True

    def _anew(self, why: str) -> bool:
        print(f"{self.path}: {why}; beginning anew", file=sys.stderr)
        return False

    def offer(self, state: Callable[[], dict[str, Any]]) -> None:
        """Save the state if it is time to; it is asked for only then.

        Args:
            state: returns tensors, numbers, strings, lists and dictionaries of them.
        """
        if self.path.is_dir():  # not ours to replace; the training does without
            return
        started = time.monotonic()
        if started - self.saved < max(self.interval, SHARE * self.took):
            return
        content = {"made_of": self.made_of, "state": state()}
        try:
            with atomic_path(self.path) as temporary, temporary.open("wb") as file:
                torch.save(content, file)
        except (OSError, RuntimeError, UserError) as error:  # torch hides a full disk
            why = error if isinstance(error, UserError) else f"{self.path}: {error}"
            print(
                f"warning: {printable(str(why))}; the training goes on, and after a "
                "kill would begin where it last could be saved",
                file=sys.stderr,
            )
        self.saved = time.monotonic()
        self.took = self.saved - started

    def remove(self) -> None:
        """Remove the file: the training has ended."""
        if not self.path.is_dir():
            self.path.unlink(missing_ok=True)
