"""Functions as Snakemake calls them for inputs, parameters and resources."""

import functools
import inspect
import re
import sys
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

from mlrpl.errors import UserError

Function = Callable[..., Any]


def one_line(error: Any) -> NoReturn:
    """Stop with the error's line alone: a mistake of the user has no traceback."""
    sys.exit(f"Error: {error}")


def stops(function: Function) -> Function:
    """Return the function with every `UserError` in it as the last line (`one_line`).

    Snakemake would report one from a function of a rule with a traceback.
    """

    @functools.wraps(function)
    def stopping(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except UserError as error:
            one_line(error)

    return inspected(stopping)


def inspected(function: Function) -> Function:
    """Return the function with its parameters noted, for which Snakemake asks at calls.

    To find them takes longer than most functions here: a seventh of a plan's time.
    """
    signature = inspect.signature(function)
    if inspect.ismethod(function):
        method = function

        def function(*args: Any, **kwargs: Any) -> Any:
            return method(*args, **kwargs)

    function.__signature__ = signature  # type: ignore[attr-defined]
    return function


def literal(value: Any) -> Function:
    """Return a parameter as it stands; in a plain one `{name}` would be a wildcard."""
    return inspected(lambda wildcards: value)


def either(names: Iterable[str]) -> str:
    """Return a wildcard's pattern: one of these names; of none, nothing matches."""
    return "|".join(map(re.escape, names)) or r"(?!)"
