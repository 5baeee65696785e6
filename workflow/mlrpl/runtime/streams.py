"""Notes that cannot be printed, on a full disk or a closed terminal, end no job."""

import contextlib
import sys
from collections.abc import Iterator
from typing import Any, TextIO


class Forgiving:
    """A text stream that drops what it cannot write."""

    def __init__(self, stream: TextIO):
        self._stream = stream

    def write(self, text: str) -> int:
        """Write text; return its length."""
        with contextlib.suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Write what waits."""
        with contextlib.suppress(OSError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextlib.contextmanager
def forgiving(errors_alone: bool) -> Iterator[None]:
    """Make stderr, and stdout unless `errors_alone`, such streams meanwhile.

    A training writes its progress there, and its log may lie on another disk than what
    it makes.
    """
    with (
        contextlib.redirect_stderr(Forgiving(sys.stderr)),
        contextlib.nullcontext()
        if errors_alone
        else contextlib.redirect_stdout(Forgiving(sys.stdout)),
    ):
        yield
