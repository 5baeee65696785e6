"""Contents of tables and figures as rules write them: their keys and their schema."""

import difflib
import functools
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import jsonschema

from mlrpl.config.shipped import read_shipped
from mlrpl.errors import UserError

SCHEMAS = Path(__file__).resolve().parents[2] / "schemas"
# What `plan.runs` takes, and what it makes of them in the contents.
RUN_KEYS = ("dataset", "method", "prop", "seed", "also")
MADE_OF_RUNS = {
    "datasets": "dataset",
    "methods": "method",
    "proportions": "prop",
    "seeds": "seed",
}


@functools.cache
def spec_schema(kind: str) -> dict[str, Any]:
    """Return the JSON schema of a `table`, a `figure` or `pictures`."""
    return read_shipped(SCHEMAS / f"{kind}.schema.yaml")


def kind_of(contents: Mapping[str, Any]) -> str:
    """Return what has such contents, which is its schema too: `table`, `figure`, ...

    Figures of test images are `pictures`; other figures say another `kind`.
    """
    if "kind" not in contents:
        return "table"
    pictures = spec_schema("pictures")["properties"]["kind"]["enum"]
    return "pictures" if contents["kind"] in pictures else "figure"


def check_keys(
    where: str, given: Iterable[str], kind: str, known: Iterable[str] = RUN_KEYS
) -> None:
    """Check the keys of a table's or figure's contents.

    Args:
        where: what the contents are of, for an error.
        given: the keys.
        kind: as `kind_of` returns it.
        known: keys that may be among them besides the contents' own.

    Raises:
        UserError: a key that is not known, or that the runs decide.
    """
    own = [key for key in spec_schema(kind)["properties"] if key not in MADE_OF_RUNS]
    allowed = [*known, *own, "titles"]
    for key in given:
        if key in MADE_OF_RUNS:
            raise UserError(
                f"{where}: {key}: follows from the runs; write {MADE_OF_RUNS[key]}"
            )
        if key not in allowed:
            hint = did_you_mean(key, allowed) or f"the keys are {', '.join(allowed)}"
            raise UserError(f"{where}: {key}: unknown key; {hint}")


def check(where: str, spec: Mapping[str, Any]) -> None:
    """Check the complete contents of a table or figure that shows something.

    Raises:
        UserError: a value that the schema refuses.
    """
    kind = kind_of(spec)
    shown = ("datasets", "proportions", "panels" if "panels" in spec else "methods")
    if not all(spec[key] for key in shown):
        return  # an experiment that is switched off
    errors = jsonschema.Draft202012Validator(spec_schema(kind)).iter_errors(spec)
    if fault := jsonschema.exceptions.best_match(errors):
        place = "".join(f"{part}: " for part in fault.absolute_path)
        raise UserError(
            f"{where}: {place}{fault.message}; see workflow/schemas/{kind}.schema.yaml"
        )


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return "did you mean ...?" with what is nearest, or nothing."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"did you mean {close[0]}?" if close else ""
