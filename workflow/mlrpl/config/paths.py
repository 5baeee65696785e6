"""The configuration's paths: variables put in, and what no path may have."""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mlrpl.errors import UserError

PROJECT = Path(__file__).resolve().parents[3]

# Snakemake reads what stands in curly or angle brackets as a name of its own, and its
# log is read line by line.
REFUSED = re.compile(r"[{}<>\x00-\x1f\x7f]")


def expand_paths(config: dict[str, Any]) -> None:
    """Put environment variables and the home folder into the paths, in place.

    Raises:
        UserError: a variable that is not set, or a path that the workflow cannot use.
    """
    if found := REFUSED.search(str(PROJECT)):
        raise UserError(
            f"{PROJECT}: the folder of the workflow has {found[0]!r}, which Snakemake "
            "takes for its own; rename it, or move the workflow"
        )
    places = [
        ("", config, ("results", "logs", "data_dir")),
        ("glove.", config["glove"], ("root",)),
        ("encoder.", config["encoder"], ("model", "pretrained")),
    ]
    places += [(f"datasets.{n}.", d, ("root",)) for n, d in config["datasets"].items()]
    for where, section, keys in places:
        for key in keys:
            if section[key] is not None:
                section[key] = _expanded(section[key], f"{where}{key}")
    for where, name in _file_names(config):
        _check(name, where)


def _expanded(text: str, where: str) -> str:
    path = os.path.expanduser(os.path.expandvars(text))
    if missing := re.search(r"\$\{?(\w+)", path):
        raise UserError(
            f"config key {where}: the environment variable {missing.group(1)} is not "
            "set; set it, or write the path out"
        )
    _check(path, where)
    own = PROJECT / path  # the demo's, when called from another folder
    return str(own) if _only_there(path, own) else path


def _only_there(path: str, own: Path) -> bool:
    return path.endswith((".json", ".safetensors")) and (
        own.is_file() and not Path(path).exists()
    )


def _check(path: str, where: str) -> None:
    if found := REFUSED.search(path):
        raise UserError(
            f"config key {where}: {path!r} has {found[0]!r}, which Snakemake takes for "
            "its own; rename the file or folder, or give a link to it"
        )
    if not path.strip():
        raise UserError(f"config key {where}: is empty; give a path")
    if path.startswith("-"):
        raise UserError(
            f"config key {where}: {path} begins like an option of a command; write the "
            "whole path, from / on"
        )


def _file_names(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the config key and the name of each file that is below a root."""
    yield "glove.file", config["glove"]["file"]
    for name, dataset in config["datasets"].items():
        for file in dataset["files"]:
            yield f"datasets.{name}.files.{file}", file
        for split_name, split in dataset["splits"].items():
            for key in ("images", "annotations", "labels"):
                if key in split:
                    yield f"datasets.{name}.splits.{split_name}.{key}", split[key]
