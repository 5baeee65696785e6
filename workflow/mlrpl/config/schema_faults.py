"""What a configuration's schema says against it, in lines that a person can act on."""

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

import jsonschema

from mlrpl.config import options
from mlrpl.config.plain import kind_of

LONGEST = 400  # signs of a list of keys in a line


def faults(error: jsonschema.ValidationError) -> Iterator[tuple[int, str, str]]:
    """Yield (order, key, one line) for each fault that a schema error stands for."""
    where = ".".join(map(str, error.absolute_path))
    dot = f"{where}." if where else ""
    schema, value = error.schema, error.instance
    if error.validator == "additionalProperties":
        # First, because a misspelt key is often why another one seems to be missing.
        for key in sorted(set(map(str, value)) - set(schema["properties"])):
            close = difflib.get_close_matches(key, schema["properties"], n=1)
            known = ", ".join(schema["properties"])
            if len(known) > LONGEST:
                known = "in workflow/schemas"
            hint = f"did you mean {close[0]}?" if close else f"the keys are {known}"
            yield 0, f"{dot}{key}", f"unknown key; {hint}"
    elif error.validator == "required":
        for key in error.validator_value:
            if key not in value:
                yield 1, f"{dot}{key}", "missing; add it"
    elif "propertyNames" in error.absolute_schema_path:
        yield 1, f"{dot}{value}", f"not a valid name; it must match {schema['pattern']}"
    elif error.validator == "uniqueItems":
        yield 1, where, f"{value} lists a value twice; give each value once"
    elif error.validator in ("minItems", "minProperties"):
        yield 1, where, "empty; give at least one"
    else:
        yield 1, where, f"{_described(value, schema)}; give {_allowed(schema)}"


def _described(value: Any, schema: Mapping[str, Any]) -> str:
    kinds = _kinds(schema)
    if isinstance(value, str):
        if kinds & {"integer", "number"} and (example := _number(value)):
            return f"{value!r} is text (write {example}, without quotes)"
        if kinds and "string" not in kinds:
            return f"{value!r} is text"
    text = "null" if value is None else str(value)
    text = f"{text if len(text) < 60 else text[:57] + '...'} is not allowed"
    if kinds == {"string"} and not isinstance(value, str | list | Mapping):
        return f"{text}, as YAML reads it as {kind_of(value)}"
    return text


def _number(text: str) -> str | None:
    """Return a text's number as YAML has it: with a point before an exponent."""
    try:
        float(text)
        digits, exponent, power = text.lower().partition("e")
        return f"{float(digits)}e{power}" if exponent else text
    except ValueError:
        return None


def _allowed(schema: Mapping[str, Any]) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        return " or ".join(_allowed({**schema, "type": one}) for one in kind)
    return "null" if kind == "null" else options.allowed_values(schema)


def _kinds(schema: Mapping[str, Any]) -> set[str]:
    """Return the types that a schema names; empty where it names none."""
    kinds: set[str] = set()
    for part in schema.get("anyOf", [schema]):
        kind = part.get("type", [])
        kinds |= {kind} if isinstance(kind, str) else set(kind)
    return kinds
