"""The defaults of a schema, where a configuration leaves a key out."""

import copy
from collections.abc import Mapping
from typing import Any


def fill(value: Any, schema: Mapping[str, Any]) -> None:
    """Put the schema's defaults where a mapping lacks a key, all the way down.

    The options are left alone: a method's own options go over those of all methods, and
    only then come their defaults (`method_strings.resolve`).
    """
    if not isinstance(value, dict) or schema.get("title") == "Options of one training":
        return
    for key, part in schema.get("properties", {}).items():
        if "default" in part:
            value.setdefault(key, copy.deepcopy(part["default"]))
        if key in value:
            value[key] = _whole(value[key], part)
            fill(value[key], part)
    if isinstance(rest := schema.get("additionalProperties"), dict):
        for part in value.values():
            fill(part, rest)


def _whole(value: Any, schema: Mapping[str, Any]) -> Any:
    """Return a whole number as such where the schema wants one: 16.0 is 16."""
    if isinstance(value, list):
        return [_whole(item, schema.get("items", {})) for item in value]
    if schema.get("type") == "integer" and isinstance(value, float):
        return int(value)
    return value
