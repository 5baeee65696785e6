"""The workflow's configuration: checked against its schema, defaults filled in.

`workflow/schemas/config.schema.yaml` describes every key. Whatever is wrong becomes a
`UserError` of one line that names the key.
"""

import copy
import functools
from collections.abc import Mapping
from typing import Any

import jsonschema

from mlrpl.config import defaults, files, masks, options, plan, section_checks
from mlrpl.config.paths import PROJECT, expand_paths
from mlrpl.config.plain import check_plain
from mlrpl.config.schema_faults import faults
from mlrpl.config.shipped import read_shipped
from mlrpl.errors import UserError

SCHEMA_PATH = PROJECT / "workflow/schemas/config.schema.yaml"


@functools.cache
def config_schema() -> dict[str, Any]:
    """Return the JSON schema of the configuration, its references replaced."""
    schema = read_shipped(SCHEMA_PATH)
    definitions = schema.pop("$defs")

    def inline(node: Any) -> Any:
        if isinstance(node, list):
            return [inline(item) for item in node]
        if not isinstance(node, dict):
            return node
        node = dict(node)
        reference = node.pop("$ref", None)
        if reference == options.SCHEMA_PATH.name:
            node = {**options.options_schema(), **node}
        elif reference:
            node = {**definitions[reference.removeprefix("#/$defs/")], **node}
        return {key: inline(value) for key, value in node.items()}

    return inline(schema)


def validate(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the checked configuration with every default filled in.

    Data sets and experiments that are switched off (`null`) are left out, and an
    experiment's data sets, proportions and seeds are written out.

    Raises:
        UserError: one line that names the first key that is wrong, and the remedy.
    """
    check_plain(config)
    config = copy.deepcopy(dict(config))
    masks.share_images(config.get("datasets"))
    errors = jsonschema.Draft202012Validator(config_schema()).iter_errors(config)
    found = sorted(fault for error in errors for fault in faults(error))
    if found:
        raise UserError(f"config key {found[0][1]}: {found[0][2]}")
    for section in ("datasets", "experiments"):
        config[section] = {k: v for k, v in config[section].items() if v is not None}
    if not config["datasets"]:
        raise UserError("config key datasets: all are switched off; leave one on")
    for name, dataset in config["datasets"].items():
        section_checks.check_dataset(f"datasets.{name}", dataset)
        dataset.setdefault("title", name)
    defaults.fill(config, config_schema())
    expand_paths(config)
    glove = config["glove"]
    if glove["root"] is None and "url" not in glove:
        raise UserError("config key glove.url: missing; give it, or set glove.root")
    _forget_published_vectors(glove)
    section_checks.check_encoder(config)
    section_checks.check_methods(config)
    config["titles"] = {
        plan.canonical(config, method): title
        for method, title in config["titles"].items()
    }
    section_checks.leave_to_boxes(config)
    for name, experiment in config["experiments"].items():
        section_checks.check_experiment(f"experiments.{name}", experiment, config)
    if config["tuning"] is not None:
        section_checks.check_tuning(config["tuning"], config)
    return config


def _forget_published_vectors(glove: dict[str, Any]) -> None:
    """Take hash and size of the project's own file off another one, in place.

    They are still there where a configuration over the project's changes `file` alone.
    """
    known = files.read(PROJECT / files.BASE)["glove"]
    if glove["root"] is None or glove["file"] == known["file"]:
        return
    for key in ("sha256", "md5", "size"):
        if key in known and glove.get(key) == known[key]:
            del glove[key]
