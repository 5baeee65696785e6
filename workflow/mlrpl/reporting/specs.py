"""What one table or figure shows: JSON that is checked against a schema."""

import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jsonschema

from mlrpl.config.specs import spec_schema
from mlrpl.errors import UserError


def load_spec(text: str, kind: str) -> dict[str, Any]:
    """Read and check the contents of a table or figure, defaults filled in.

    Args:
        text: a JSON object, or the path of a file that holds one.
        kind: `table`, `figure` or `overview`: the schema in workflow/schemas.

    Raises:
        UserError: no readable JSON, or a key or value that the schema refuses.
    """
    where = "--spec" if text.lstrip().startswith("{") else text
    try:
        content = text if where == "--spec" else Path(text).read_text(encoding="utf-8")
        spec = json.loads(content)
    except OSError as error:
        raise UserError(f"{text}: {error.strerror}; give a JSON file") from error
    except ValueError as error:
        raise UserError(f"{where}: is not valid JSON: {error}") from error
    schema = spec_schema(kind)
    errors = jsonschema.Draft202012Validator(schema).iter_errors(spec)
    if fault := jsonschema.exceptions.best_match(errors):
        place = "".join(f"{part}: " for part in fault.absolute_path)
        raise UserError(
            f"{where}: {place}{fault.message}; see workflow/schemas/{kind}.schema.yaml"
        )
    for key, entry in schema["properties"].items():
        if "default" in entry:
            spec.setdefault(key, entry["default"])
    for dataset in spec.get("datasets", []):
        dataset.setdefault("title", dataset["name"])
        dataset.setdefault("compare", dataset.get("published") == dataset["name"])
    return spec


def load_titles(text: str, flag: str) -> dict[str, str]:
    """Read a JSON object of names and what they are called.

    Raises:
        UserError: anything else.
    """
    try:
        titles = json.loads(text)
    except ValueError as error:
        raise UserError(f"{flag}: is not valid JSON: {error}") from error
    if not isinstance(titles, dict) or not all(
        isinstance(title, str) for title in titles.values()
    ):
        raise UserError(f'{flag}: give names and titles, such as {{"sarl": "SARL"}}')
    return titles


def prop_key(prop: float) -> str:
    """Return a proportion as the paths and the published numbers write it: 0.1."""
    return f"{prop:g}"


def percent(prop: float | str) -> str:
    """Return a proportion as the paper's headings write it: 10 %."""
    return f"{100 * float(prop):g} %"


def listed(props: Sequence[float | str]) -> str:
    """Return proportions as a title writes them: 10 % to 90 %, or 10, 50 and 90 %."""
    numbers = sorted({round(100 * float(prop), 6) for prop in props})
    *most, last = (f"{number:g}" for number in numbers)
    steps = {round(b - a, 6) for a, b in itertools.pairwise(numbers)}
    if len(numbers) > 3 and len(steps) == 1:
        return f"{most[0]} % to {last} %"
    return f"{', '.join(most)} and {last} %" if most else f"{last} %"
