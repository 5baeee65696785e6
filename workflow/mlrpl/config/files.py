"""The configuration as Snakemake puts it together, for commands without Snakemake.

`config.yaml`, over it the files of `--configfile` in the order given, over them the
KEY=VALUE of `--config`. A workflow profile may name such files, too.
"""

from collections.abc import Iterable, Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import yaml

from mlrpl.errors import UserError

BASE = "config.yaml"


def load_config(
    overlays: Iterable[str | PathLike] = (),
    values: Iterable[str] = (),
    base: str | PathLike = BASE,
) -> dict[str, Any]:
    """Return the merged configuration, not yet checked by `validation.validate`.

    Args:
        overlays: files whose keys go over those before; mappings merge key by key.
        values: KEY=VALUE, the value as YAML; they go over all files.
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
        try:
            changes = merge(changes, {key: yaml.safe_load(value)})
        except yaml.YAMLError as error:
            reason = " ".join(str(error).split())
            raise UserError(f"--config {text}: is not YAML ({reason})") from error
    return merge(read(base), changes)


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
        UserError: the file is missing, unreadable, not YAML, or not a mapping.
    """
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read ({error.strerror}); give the path of a config "
            "file, and run this in the folder of config.yaml"
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path}: is not YAML ({reason}); correct it") from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: has no keys at its top level; write KEY: VALUE lines")
    return content


def profile(folder: str | PathLike) -> tuple[list[str], list[str]]:
    """Return the overlays and the KEY=VALUE settings that a workflow profile names.

    Raises:
        UserError: the folder has no readable profile.
    """
    path = Path(folder) / "profile.yaml"
    if not path.exists():
        path = Path(folder) / "config.yaml"
    content = read(path)
    files, values = content.get("configfile", []), content.get("config", [])
    if isinstance(values, Mapping):
        values = [f"{key}={yaml.safe_dump(v).strip()}" for key, v in values.items()]
    return _many(files), _many(values)


def _many(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)
