"""A training's state on disk, from which a killed one goes on."""

import contextlib
import hashlib
import json
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from mlrpl.errors import UserError, printable
from mlrpl.runtime.storage import atomic_path

# Seconds between two checkpoints: at least so many, and at least so many times what
# the last one took, which bounds their share of the time to 2 %.
INTERVAL, SHARE = 20.0, 50.0
# The same of the copies in memory that are saved when the training is told to stop.
COPY_INTERVAL = 1.0

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
        self.copied, self.copying = self.saved, 0.0
        # The newest state that is not in the file.
        self._unsaved: dict[str, Any] | None = None

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
        """Save the state, or copy it in memory, if it is time to.

        It is asked for only then.

        Args:
            state: returns tensors, numbers, strings, lists and dictionaries of them.
        """
        if self.path.is_dir():  # not ours to replace; the training does without
            return
        now = time.monotonic()
        if now - self.saved >= max(self.interval, SHARE * self.took):
            self._save(state(), since=now)
        elif now - self.copied >= max(COPY_INTERVAL, SHARE * self.copying):
            self._unsaved = _copy(state())
            self.copied = time.monotonic()
            self.copying = self.copied - now

    @contextlib.contextmanager
    def saved_when_stopped(self) -> Iterator[None]:
        """Save the newest state that was offered when the body is told to stop.

        That is by SIGTERM, as at a job's time limit or for a job of more urgency, or
        from the keyboard. The state is that after the last epoch, or of a second
        before.
        """
        try:
            yield
        except (SystemExit, KeyboardInterrupt):
            with _no_more_signals():
                if self._unsaved is not None and not self.path.is_dir():
                    self._save(self._unsaved, since=time.monotonic())
            if self.path.is_file():
                print(
                    f"{self.path}: saved; the same command goes on from there",
                    file=sys.stderr,
                )
            raise

    def _save(self, state: dict[str, Any], since: float) -> None:
        self._unsaved = state  # until it is written, which a signal may break off
        content = {"made_of": self.made_of, "state": state}
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
        self._unsaved = None
        self.saved = self.copied = time.monotonic()
        self.took = self.saved - since

    def remove(self) -> None:
        """Remove the file: the training has ended."""
        if not self.path.is_dir():
            self.path.unlink(missing_ok=True)


def _copy(state: Any) -> Any:
    """Return a state whose tensors are copies in the host's memory."""
    if isinstance(state, torch.Tensor):
        return state.detach().to("cpu", copy=True)
    if isinstance(state, Mapping):
        return {key: _copy(value) for key, value in state.items()}
    if isinstance(state, list | tuple):
        return [_copy(value) for value in state]
    return state


@contextlib.contextmanager
def _no_more_signals() -> Iterator[None]:
    """Let a second SIGTERM not break off what the first one began."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before or signal.SIG_DFL)
