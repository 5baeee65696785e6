"""The options of one training: their list, checked values, and the parts they choose.

`workflow/schemas/options.schema.yaml` is the one place that lists the options with
their types, ranges, defaults and meaning, and where each applies. How a method of the
config and the overrides in its name give a run its options is in `method_strings.py`.

Four keys of the schema are this project's own:

- `parts`: the option chooses a part of the method (a head, a transfer, a loss); of each
  name it says which class of which module that is, and these names are its `enum`.
- `tokens`: of the option `head`, the heads that read the tokens' feature files;
- `views`: of the option `transfer`, how many cached views of an image one compares;
- `when`: where the option applies: `{loss: [p_asl]}`, with several keys where all of
  them hold; in a list of such mappings, one of them. An option that is named there must
  apply itself. If the first key chooses a part, the option is one of that part, and its
  class takes it by name.
"""

import difflib
import functools
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema

from mlrpl.config.shipped import read_shipped
from mlrpl.errors import UserError

SCHEMA_PATH = Path(__file__).resolve().parents[2] / "schemas/options.schema.yaml"


class Options(Mapping[str, Any]):
    """The options that apply to one training, checked; the schema describes each.

    A mapping, and each option is an attribute as well.
    """

    def __init__(self, values: Mapping[str, Any]):
        self._values = dict(sorted(values.items()))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Options":
        """Check `values` (missing options take their default) and build the options.

        Raises:
            UserError: for an unknown option or one that does not apply beside the
                others, a wrong type, a value out of range, or values that exclude each
                other.
        """
        given = check(values)
        found = applying(given)
        for name in given:
            if name not in found:
                raise UserError(f"options: {misplaced(name)}")
        return cls(check(found))

    def part(self, kind: str) -> dict[str, Any]:
        """Return the options that the chosen part takes, defaults where none applies.

        Args:
            kind: the option that chooses it, such as `loss`.
        """
        names = part_options(kind, self[kind])
        return {name: self.get(name, defaults()[name]) for name in names}

    def to_dict(self) -> dict[str, Any]:
        """Return the options as a plain dict in alphabetical order."""
        return dict(self._values)

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in self._values:
            raise AttributeError(f"option {name} does not apply to this training")
        return self._values[name]


@functools.cache
def options_schema() -> dict[str, Any]:
    """Return the JSON schema of the options; the names of parts are their `enum`."""
    schema = read_shipped(SCHEMA_PATH)
    for spec in schema["properties"].values():
        if "parts" in spec:
            spec["enum"] = list(spec["parts"])
    return schema


def applying(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return every option that applies: its value here, else its default.

    Args:
        values: option names and values, of the right types; may be incomplete.
    """
    whole = {**_defaults(), **values}
    decided = tuple(whole[name] for name in _deciding())
    return {name: whole[name] for name in _applying(decided)}


@functools.cache
def _deciding() -> tuple[str, ...]:
    """Return the options by whose values others apply or do not."""
    specs = options_schema()["properties"].values()
    return tuple(
        dict.fromkeys(k for spec in specs for case in _cases(spec) for k in case)
    )


@functools.cache
def _applying(decided: tuple[Any, ...]) -> tuple[str, ...]:
    """Return the options that apply, sorted, by the values of those that decide it."""
    properties = options_schema()["properties"]
    whole = dict(zip(_deciding(), decided, strict=True))

    @functools.cache
    def applies(name: str) -> bool:
        return any(
            all(applies(key) and whole[key] in allowed for key, allowed in case.items())
            for case in _cases(properties[name])
        )

    return tuple(name for name in sorted(properties) if applies(name))


def part_options(kind: str, name: str) -> list[str]:
    """Return the options that belong to one part: `loss`, `p_asl`."""
    return [
        option
        for option, spec in options_schema()["properties"].items()
        for case in _cases(spec)
        if next(iter(case), None) == kind and name in case[kind]
    ]


def part_class(kind: str, name: str) -> str:
    """Return where the class of a part is: `methods.losses.p_asl:PartialAsymmetric`."""
    return options_schema()["properties"][kind]["parts"][name]


def part_modules(chosen: Mapping[str, Any]) -> list[str]:
    """Return the modules of the parts that a run's options choose."""
    return [
        spec["parts"][chosen[kind]].partition(":")[0]
        for kind, spec in options_schema()["properties"].items()
        if "parts" in spec and kind in chosen
    ]


def reads_tokens(chosen: Mapping[str, Any]) -> bool:
    """Say whether the head of a run's options reads tokens, not maps (`Head.reads`)."""
    return chosen["head"] in options_schema()["properties"]["head"]["tokens"]


def compared_views(chosen: Mapping[str, Any]) -> int:
    """Return how many cached views of an image a run compares; 1 is none with another.

    The same as the transfer's class says (`Part.further_views`).
    """
    views = options_schema()["properties"]["transfer"]["views"]
    return views.get(chosen["transfer"], 1)


def _cases(spec: Mapping[str, Any]) -> list[Mapping[str, list]]:
    """Return the alternatives under which an option applies; one without conditions."""
    when = spec.get("when", {})
    return when if isinstance(when, list) else [when]


def misplaced(name: str) -> str:
    """Say of an option that it does not apply here, and where it does."""
    cases = _cases(options_schema()["properties"][name])
    places = (
        " and ".join(f"{key}={'|'.join(map(str, case[key]))}" for key in case)
        for case in cases
    )
    return (
        f"{name} has no effect here; it applies with {', or with '.join(places)}: take "
        "it out, or set that too"
    )


def defaults() -> dict[str, Any]:
    """Return every option's default."""
    return dict(_defaults())


@functools.cache
def _defaults() -> dict[str, Any]:
    properties = options_schema()["properties"]
    return {name: spec["default"] for name, spec in properties.items()}


def check(values: Mapping[str, Any], where: str = "options") -> dict[str, Any]:
    """Return `values` with whole floats of integer options made integers, checked.

    Args:
        values: option names and values; may be incomplete.
        where: the config key or method to name in an error.

    Raises:
        UserError: one line that names the option, the value and what is allowed.
    """
    properties = options_schema()["properties"]
    for name in values:
        if name not in properties:
            close = difflib.get_close_matches(name, properties, n=1)
            hint = f"did you mean {close[0]}?" if close else "see options.schema.yaml"
            raise UserError(f"{where}: unknown option {name}; {hint}")
    for name, value in values.items():
        spec = properties[name]
        if isinstance(value, float) and not math.isfinite(value):
            raise UserError(
                f"{where}: {name}: {value} is not allowed; give {allowed_values(spec)}"
            )
        if not _is_valid(name, value):
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


def _is_valid(name: str, value: Any) -> bool:
    """Return whether the schema takes a value; a plain one is looked at once.

    A plan asks for the same few of every run's options.
    """
    if isinstance(value, str | int | float):
        return _plain_is_valid(name, type(value), value)
    return _validator(name).is_valid(value)


@functools.cache
def _plain_is_valid(name: str, kind: type, value: Any) -> bool:
    """Return whether the schema takes a value; 1, 1.0 and true are equal, not alike."""
    return _validator(name).is_valid(value)


@functools.cache
def _validator(name: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(options_schema()["properties"][name])


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


def typed(option: str, text: str) -> Any:
    """Return a text as the type that its option has, where it can be read so."""
    spec = options_schema()["properties"].get(option, {})
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
