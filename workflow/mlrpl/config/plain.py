"""What YAML may hold and the configuration may not, whatever the key."""

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from mlrpl.errors import UserError

CONTROL = re.compile(r"[\x00-\x1f\x7f]")
# Mappings and lists in one another; the schema goes down to eight.
DEEPEST = 40


def check_plain(config: Any) -> None:
    """Check that every name is text, and every number one that can be counted with.

    Raises:
        UserError: one line that names the key.
    """
    for where, fault in _faults(config, "", 0, {}):
        raise UserError(f"config key {where}: {fault}")


def too_deep(value: Any, depth: int = 0, seen: dict[int, int] | None = None) -> bool:
    """Return whether mappings and lists are nested beyond sense, or without an end.

    YAML's aliases may put one into itself, or into many others.
    """
    seen = {} if seen is None else seen
    if not isinstance(value, Mapping | list) or seen.get(id(value), -1) >= depth:
        return False
    seen[id(value)] = depth
    parts = value.values() if isinstance(value, Mapping) else value
    return depth > DEEPEST or any(too_deep(part, depth + 1, seen) for part in parts)


def _faults(
    value: Any, where: str, depth: int, seen: dict[int, int]
) -> Iterator[tuple[str, str]]:
    """Yield key and fault; `seen` has how deep each part was looked at before."""
    if isinstance(value, Mapping | list | tuple):
        if seen.get(id(value), -1) >= depth:
            return
        seen[id(value)] = depth
    if depth > DEEPEST:
        yield where[:60] + "...", "is nested too deeply; make it flat"
    elif isinstance(value, Mapping):
        for key, part in value.items():
            place = f"{where}.{key}" if where else f"{key}"
            if not isinstance(key, str):
                yield place, f'YAML reads this name as {kind_of(key)}; write "{key}"'
            elif CONTROL.search(key):
                yield place, "has a line break or the like in its name; take it out"
            else:
                yield from _faults(part, place, depth + 1, seen)
    elif isinstance(value, list | tuple):
        for number, part in enumerate(value):
            yield from _faults(part, f"{where}.{number}", depth + 1, seen)
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
