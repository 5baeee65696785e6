"""The one exception that stands for a user's mistake."""

import re

# What a terminal carries out instead of showing it: a sequence that begins with an
# escape, up to its end, and any other control character.
_SEQUENCE = r"\x1b(?:\[[0-?]*[ -/]*[@-~]?|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -~])?"
_CONTROL = re.compile(rf"{_SEQUENCE}|[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class UserError(Exception):
    """Bad input: one line that names the file or key, the fault and the remedy.

    The command line prints the message without a traceback and exits with 1; every
    other exception is a defect of this package and keeps its traceback.
    """

    def __str__(self) -> str:
        return printable(super().__str__())


def printable(text: str) -> str:
    """Return text that came from elsewhere as one line without control characters.

    A file, a library or a server may send line breaks, and sequences that a terminal
    obeys.
    """
    return _CONTROL.sub(_spaced, text)


def _spaced(found: re.Match[str]) -> str:
    return "" if found[0].startswith("\x1b") else " "
