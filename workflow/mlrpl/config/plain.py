"""What YAML may hold and the configuration may not, whatever the key."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from mlrpl.errors import UserError

# Mappings and lists in one another; the schema goes down to eight.
DEEPEST = 40


def check_plain(config: Any) -> None:
    """Check that every name is text, and every number one that can be counted with.

    Raises:
        UserError: one line that names the key.
    """
    for where, fault in _faults(config, ""):
        raise UserError(f"config key {where}: {fault}")


def _faults(value: Any, where: str, depth: int = 0) -> Iterator[tuple[str, str]]:
    if depth > DEEPEST:
        yield where[:60] + "...", "is nested too deeply; make it flat"
    elif isinstance(value, Mapping):
        for key, part in value.items():
            place = f"{where}.{key}" if where else f"{key}"
            if not isinstance(key, str):
                yield place, f'YAML reads this name as {kind_of(key)}; write "{key}"'
            elif not key.isprintable():
                yield place, "has a line break or the like in its name; take it out"
            else:
                yield from _faults(part, place, depth + 1)
    elif isinstance(value, list | tuple):
        for number, part in enumerate(value):
            yield from _faults(part, f"{where}.{number}", depth + 1)
    elif isinstance(value, float) and not math.isfinite(value):
        yield where, f"{value} is no number to count with; give a finite one"
    elif isinstance(value, int) and abs(value) >= 2**63:
        yield where, "is a number of more than 18 digits; give a smaller one"


def kind_of(value: Any) -> str:
    """Say what YAML took a value for."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a number"
    return {"date": "a date", "datetime": "a date", "str": "text"}.get(
        type(value).__name__, f"a {type(value).__name__}"
    )
