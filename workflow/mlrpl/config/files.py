"""The configuration as Snakemake puts it together, for commands without Snakemake.

The project's `config.yaml`, over it the files of `--configfile` in their order, over
them the KEY=VALUE of `--config`. A workflow profile may name such files, too.
"""

import contextlib
import json
from collections.abc import Iterable, Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import yaml

from mlrpl.config.plain import too_deep
from mlrpl.errors import UserError

PROJECT = Path(__file__).resolve().parents[3]
BASE = "config.yaml"

# What PyYAML raises; not only its own, for a 13th month or thousands of digits.
UNREADABLE = (
    *(yaml.YAMLError, ArithmeticError, AttributeError, LookupError),
    *(TypeError, ValueError),
)


def load_config(
    overlays: Iterable[str | PathLike] = (),
    values: Iterable[str] = (),
    base: str | PathLike = PROJECT / BASE,
) -> dict[str, Any]:
    """Return the merged configuration, not yet checked by `validation.validate`.

    Over the project's own config.yaml goes the one in this folder, if there is one.

    Args:
        overlays: files whose keys go over those before; mappings merge key by key.
        values: KEY=VALUE as `typed_value` reads it; they go over all files.
        base: the file that all start from.

    Raises:
        UserError: a file that is missing or not a mapping, or a value without a key.
    """
    # As in Snakemake the overlays become one before they go over the base, so that a
    # data set that one switches off and a later one changes keeps the base's keys.
    changes: dict[str, Any] = {}
    for path in overlays:
        changes = merge(changes, read(path))
    for text in values:
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise UserError(f"--config {text}: is not a setting; write KEY=VALUE")
        changes = merge(changes, {key: typed_value(value, f"--config {text}")})
    config = read(base)
    if Path(BASE).exists() and not Path(BASE).samefile(base):
        config = merge(config, read(BASE))
    return merge(config, changes)


def typed_value(text: str, where: str) -> Any:
    """Return the VALUE of a `--config KEY=VALUE` as the workflow takes it.

    Snakemake reads a number or a truth value as such, and all else as YAML in which
    every value is text; `typed` makes of these texts what they are.

    Raises:
        UserError: it is not YAML.
    """
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(text)
    return typed(parse(text, where))


def typed(value: Any) -> Any:
    """Return a value in which texts that YAML reads as number, truth or null are that.

    Of Snakemake's `--config`, which leaves text in lists and mappings: `seeds=[0]` is
    a list of a text there.
    """
    if isinstance(value, Mapping):
        return {key: typed(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [typed(entry) for entry in value]
    if not isinstance(value, str):
        return value
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(value)
    plain = {"true": True, "false": False, "null": None, "~": None}
    return plain.get(value.lower(), value)


def merge(config: Any, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return `config` with `changes` over it, mappings merged all the way down."""
    merged = dict(config) if isinstance(config, Mapping) else {}
    for key, value in changes.items():
        if isinstance(value, Mapping):
            value = merge(merged.get(key), value)
        merged[key] = value
    return merged


def read(path: str | PathLike) -> dict[str, Any]:
    """Return the mapping in a YAML or JSON file.

    Raises:
        UserError: the file is missing, unreadable, not YAML, not a mapping, or has a
            key twice.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read ({error.strerror}); give the path of a config file"
        ) from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: is not UTF-8 ({error}); correct it") from error
    content = parse(text, f"{path}")
    if not isinstance(content, dict):
        raise UserError(f"{path}: has no keys at its top level; write KEY: VALUE lines")
    return content


def parse(text: str, where: str) -> Any:
    """Return the content of YAML of plain values.

    Args:
        text: the YAML.
        where: the file or argument to name in an error.

    Raises:
        UserError: it is not YAML, has a tag of a program, or a key twice.
    """
    try:
        content = _content(text)
        if too_deep(content):
            raise RecursionError
        return content
    except _Twice as error:
        raise UserError(f"{where}: {error}; keep one") from None
    except RecursionError:
        raise UserError(f"{where}: is nested too deeply; make it flat") from None
    except UNREADABLE as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{where}: is not YAML ({reason}); correct it") from error


def _content(text: str) -> Any:
    """Read JSON, which may have tabs that YAML refuses, or YAML."""
    if text.lstrip().startswith("{"):
        with contextlib.suppress(ValueError, RecursionError):
            return json.loads(text, object_pairs_hook=_each_once)
    return yaml.load(text, Loader=_Loader)


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise _Twice(f"the key {key} stands twice")
        found[key] = value
    return found


class _Twice(Exception):
    """A key that stands twice in a mapping."""


class _Loader(yaml.SafeLoader):
    """Plain values alone, and no key twice: PyYAML would take the last one."""

    def compose_mapping_node(self, anchor: str | None) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        lines: dict[tuple[str, str], int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.value == "<<":
                continue
            line, known = key.start_mark.line + 1, (key.tag, key.value)
            if known in lines:
                raise _Twice(
                    f"the key {key.value} stands twice, in lines {lines[known]} and "
                    f"{line}"
                )
            lines[known] = line
        return node


def executor(folder: str | PathLike) -> str | None:
    """Return what a workflow profile has its jobs run by; None for this machine.

    Raises:
        UserError: the folder has no readable profile.
    """
    found = _profile(folder).get("executor")
    return found if found is None else str(found)


def profile(folder: str | PathLike) -> tuple[list[str], list[str]]:
    """Return the overlays and the KEY=VALUE settings that a workflow profile names.

    Raises:
        UserError: the folder has no readable profile.
    """
    content = _profile(folder)
    files, values = content.get("configfile", []), content.get("config", [])
    if isinstance(values, Mapping):
        values = [f"{key}={yaml.safe_dump(v).strip()}" for key, v in values.items()]
    return _many(files), _many(values)


def _profile(folder: str | PathLike) -> dict[str, Any]:
    path = Path(folder) / "profile.yaml"
    return read(path if path.exists() else Path(folder) / "config.yaml")


def _many(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value or ())
