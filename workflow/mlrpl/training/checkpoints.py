"""A training's state on disk, from which a killed one goes on."""

import hashlib
import json
import os
import pickle
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

from mlrpl.runtime.storage import atomic_path

# Seconds between two checkpoints: at least so many, and at least so many times what
# the last one took, which bounds their share of the time to 2 %.
INTERVAL, SHARE = 20.0, 50.0

# What torch.load and a look into its result raise for a file that is none of ours.
DAMAGED = (
    OSError,
    RuntimeError,
    EOFError,
    KeyError,
    TypeError,
    ValueError,
    pickle.UnpicklingError,
)


def fingerprint(values: Mapping[str, Any], files: Iterable[str | os.PathLike]) -> str:
    """Return a hash of values and of files' contents.

    Args:
        values: what JSON can hold.
        files: small files, read whole.
    """
    digest = hashlib.sha256(json.dumps(values, sort_keys=True).encode())
    for path in files:
        digest.update(hashlib.sha256(Path(path).read_bytes()).digest())
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

    def load(self) -> dict[str, Any] | None:
        """Return the state that was saved last; None if there is none of this kind."""
        try:
            content = torch.load(self.path, map_location="cpu", weights_only=True)
            if content["made_of"] == self.made_of:
                return content["state"]
        except FileNotFoundError:
            return None
        except DAMAGED:
            pass
        print(
            f"{self.path}: of another training, or damaged; beginning anew",
            file=sys.stderr,
        )
        return None

    def offer(self, state: Callable[[], dict[str, Any]]) -> None:
        """Save the state if it is time to; it is asked for only then.

        Args:
            state: returns tensors, numbers, strings, lists and dictionaries of them.
        """
        started = time.monotonic()
        if started - self.saved < max(self.interval, SHARE * self.took):
            return
        with atomic_path(self.path) as temporary:
            torch.save({"made_of": self.made_of, "state": state()}, temporary)
        self.saved = time.monotonic()
        self.took = self.saved - started

    def remove(self) -> None:
        """Remove the file: the training has ended."""
        self.path.unlink(missing_ok=True)
