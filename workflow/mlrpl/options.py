"""The options of one training: a method of the config and the overrides in its name.

`workflow/schemas/options.schema.yaml` is the one place that lists the options with
their types, ranges, defaults and meaning. A method string is the name of a method of
the config followed by any number of overrides, `sarl+loss=p_bce+lr=0.01`.
"""

import difflib
import functools
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from mlrpl.errors import UserError

SCHEMA_PATH = Path(__file__).resolve().parent.parent / "schemas/options.schema.yaml"


@dataclass(frozen=True)
class Options:
    """Every option of one training, checked; the schema describes each."""

    visual: str
    prompts: str
    loss: str
    score: str
    scale: float | str
    scale_learned: bool
    pooled: str
    projection: str
    joint_dim: int
    n_ctx: int
    context_init: str
    context_std: float
    period: bool
    gamma_pos: float
    gamma_neg: float
    margin: float
    detach: bool
    p_bce_weight: str
    optimizer: str
    lr: float
    lr_visual: float
    momentum: float
    weight_decay: float
    schedule: str
    warmup_epochs: int
    warmup_lr: float
    precision: str
    batch_size: int
    epochs: int
    eval_every: int

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Options":
        """Check `values` (missing options take their default) and build the options.

        Raises:
            UserError: for an unknown option, a wrong type, a value out of range, or
                values that exclude each other.
        """
        return cls(**check({**defaults(), **values}))

    def to_dict(self) -> dict[str, Any]:
        """Return the options as a plain dict in alphabetical order."""
        return dict(sorted(asdict(self).items()))


@functools.cache
def load_schema() -> dict[str, Any]:
    """Return the JSON schema of the options."""
    return yaml.safe_load(SCHEMA_PATH.read_text())


def defaults() -> dict[str, Any]:
    """Return every option's default."""
    return {name: spec["default"] for name, spec in load_schema()["properties"].items()}


def check(values: Mapping[str, Any], where: str = "options") -> dict[str, Any]:
    """Return `values` with whole floats of integer options made integers, checked.

    Args:
        values: option names and values; may be incomplete.
        where: the config key or method to name in an error.

    Raises:
        UserError: one line that names the option, the value and what is allowed.
    """
    properties = load_schema()["properties"]
    for name in values:
        if name not in properties:
            close = difflib.get_close_matches(name, properties, n=1)
            hint = f"did you mean {close[0]}?" if close else "see options.schema.yaml"
            raise UserError(f"{where}: unknown option {name}; {hint}")
    for name, value in values.items():
        spec = properties[name]
        if not jsonschema.Draft202012Validator(spec).is_valid(value):
            hint = ""
            numeric = _kinds(spec) & {"integer", "number"}
            if numeric and isinstance(value, str) and isinstance(_number(value), float):
                hint = " (YAML reads it as text: write 1.0e-4 for 1e-4, without quotes)"
            raise UserError(
                f"{where}: {name}: {value!r} is not allowed{hint}; "
                f"give {allowed_values(spec)}"
            )
    if values.get("projection") == "clip" and values.get("pooled", "raw") != "raw":
        raise UserError(
            f"{where}: projection: clip needs the raw map; set pooled to raw too"
        )
    return {name: _plain(value) for name, value in values.items()}


def resolve(
    method: str,
    base: Mapping[str, Any],
    methods: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    """Return every option of a method string, sorted by name.

    Args:
        method: `name` or `name+option=value+...`.
        base: the config's `options`, shared by all methods.
        methods: the config's `methods`: the options that each sets.

    Raises:
        UserError: for an unknown method, or a bad or repeated override.
    """
    name, overrides = _parse(method, methods)
    values = {**defaults(), **base, **methods[name], **overrides}
    return dict(sorted(check(values, where=f"method {method}").items()))


def canonical(
    method: str,
    base: Mapping[str, Any],
    methods: Mapping[str, Mapping[str, Any]],
) -> str:
    """Return the one name of a method string's options.

    Overrides that change nothing are dropped and the rest sorted, so that
    `sarl+gamma_pos=1` and `sarl` name the same run.

    Raises:
        UserError: as `resolve`.
    """
    wanted = resolve(method, base, methods)
    name, overrides = _parse(method, methods)
    plain = resolve(name, base, methods)
    kept = {k: wanted[k] for k in sorted(overrides) if wanted[k] != plain[k]}
    return "+".join([name, *(f"{k}={format_value(v)}" for k, v in kept.items())])


def format_value(value: Any) -> str:
    """Return an option's value as it stands in a method string."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(value).removesuffix(".0").replace("e+", "e")
    return str(value)


def allowed_values(spec: Mapping[str, Any]) -> str:
    """Say in words what a schema entry allows: 'a number from 0 to 1'."""
    if "anyOf" in spec:
        return " or ".join(allowed_values(part) for part in spec["anyOf"])
    if "const" in spec:
        return str(spec["const"])
    if "enum" in spec:
        return "one of " + ", ".join(map(str, spec["enum"]))
    words = {
        "integer": "a whole number",
        "number": "a number",
        "boolean": "true or false",
        "string": "text",
        "array": "a list",
        "object": "a mapping",
    }
    text = words.get(spec.get("type", ""), str(spec.get("type", "another value")))
    for key, word in (
        ("minimum", "from"),
        ("exclusiveMinimum", "above"),
        ("maximum", "to"),
        ("exclusiveMaximum", "below"),
        ("pattern", "matching"),
    ):
        if key in spec:
            text += f" {word} {spec[key]}"
    return text


def _parse(
    method: str, methods: Mapping[str, Mapping[str, Any]]
) -> tuple[str, dict[str, Any]]:
    name, *parts = method.split("+")
    if name not in methods:
        close = difflib.get_close_matches(name, methods, n=1)
        hint = f"did you mean {close[0]}?" if close else "the config's methods are "
        raise UserError(
            f"method {method}: unknown method {name}; "
            f"{hint if close else hint + ', '.join(methods)}"
        )
    overrides: dict[str, Any] = {}
    for part in parts:
        option, equals, text = part.partition("=")
        if not equals or not option or not text:
            raise UserError(
                f"method {method}: {part!r} is no override; write +option=value"
            )
        if option in overrides:
            raise UserError(f"method {method}: {option} is set twice; keep one")
        overrides[option] = _typed(option, text)
    return name, check(overrides, where=f"method {method}") if overrides else {}


def _typed(option: str, text: str) -> Any:
    """Read an override's text as the type that its option has."""
    spec = load_schema()["properties"].get(option, {})
    kinds = _kinds(spec)
    if "boolean" in kinds:
        return {"true": True, "false": False}.get(text, text)
    if kinds & {"integer", "number"}:
        return _number(text)
    return text


def _kinds(spec: Mapping[str, Any]) -> set[str | None]:
    return {part.get("type") for part in spec.get("anyOf", [spec])}


def _number(text: str) -> float | str:
    try:
        value = float(text)
    except ValueError:
        return text
    return value if math.isfinite(value) else text


def _plain(value: Any) -> Any:
    """Make 4.0 and 4 one value, so that they are one run."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return value
