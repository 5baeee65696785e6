"""The workflow's configuration: checked against its schema, defaults filled in.

`workflow/schemas/config.schema.yaml` describes every key. Whatever is wrong becomes a
`UserError` of one line that names the key.
"""

import copy
import csv
import difflib
import functools
from collections.abc import Iterator, Mapping
from typing import Any

import jsonschema
import yaml

from mlrpl.config import files, masks, method_strings, options, plan, tuning
from mlrpl.config.paths import PROJECT, expand_paths
from mlrpl.config.plain import check_plain, kind_of
from mlrpl.errors import UserError

SCHEMA_PATH = PROJECT / "workflow/schemas/config.schema.yaml"
LONGEST = 400  # signs of a list of keys in a line
PUBLISHED = PROJECT / "workflow/published"

# Keys of a data set's splits, by format: those that are needed, those that are allowed.
NEEDED_OF_SPLIT = {"coco": ["annotations"], "voc": ["imageset"], "csv": ["labels"]}
ALLOWED_OF_SPLIT = {
    "coco": ["prefix", "member"],
    "voc": [],
    "csv": ["select", "column"],
}
# Keys of a data set that apply to some formats only.
FORMATS_OF_KEY = {
    "keep": ["coco"],
    "difficult": ["voc"],
    "classes": ["coco", "voc", "csv"],
    "unlisted": ["csv"],
}

# Formats whose annotations say where the objects are.
BOXES = ("coco", "voc")


@functools.cache
def config_schema() -> dict[str, Any]:
    """Return the JSON schema of the configuration, its references replaced."""
    schema = yaml.safe_load(SCHEMA_PATH.read_text())
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


@functools.cache
def printed_datasets() -> list[str]:
    """Return the data sets for which workflow/published has numbers, sorted."""
    names = set()
    for path in PUBLISHED.glob("*.csv"):
        with path.open(newline="", encoding="utf-8") as file:
            names |= {row["dataset"] for row in csv.DictReader(file)}
    return sorted(names - {""})


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
    faults = sorted(fault for error in errors for fault in _faults(error))
    if faults:
        raise UserError(f"config key {faults[0][1]}: {faults[0][2]}")
    for section in ("datasets", "experiments"):
        config[section] = {k: v for k, v in config[section].items() if v is not None}
    if not config["datasets"]:
        raise UserError("config key datasets: all are switched off; leave one on")
    for name, dataset in config["datasets"].items():
        _check_dataset(f"datasets.{name}", dataset)
        dataset.setdefault("title", name)
    _fill(config, config_schema())
    expand_paths(config)
    glove = config["glove"]
    if glove["root"] is None and "url" not in glove:
        raise UserError("config key glove.url: missing; give it, or set glove.root")
    _forget_published_vectors(glove)
    _check_methods(config)
    config["titles"] = {
        plan.canonical(config, method): title
        for method, title in config["titles"].items()
    }
    _leave_to_boxes(config)
    for name, experiment in config["experiments"].items():
        _check_experiment(f"experiments.{name}", experiment, config)
    if config["tuning"] is not None:
        _check_tuning(config["tuning"], config)
    return config


def _faults(error: jsonschema.ValidationError) -> Iterator[tuple[int, str, str]]:
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


def _fill(value: Any, schema: Mapping[str, Any]) -> None:
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
            _fill(value[key], part)
    if isinstance(rest := schema.get("additionalProperties"), dict):
        for part in value.values():
            _fill(part, rest)


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


def _whole(value: Any, schema: Mapping[str, Any]) -> Any:
    """Return a whole number as such where the schema wants one: 16.0 is 16."""
    if isinstance(value, list):
        return [_whole(item, schema.get("items", {})) for item in value]
    if schema.get("type") == "integer" and isinstance(value, float):
        return int(value)
    return value


def _check_dataset(where: str, dataset: Mapping[str, Any]) -> None:
    """Check what depends on the format, and that every file has a place."""
    kind, listed = dataset["format"], dataset.get("files", {})
    name = dataset.get("published")
    if name is not None and name not in printed_datasets():
        raise UserError(
            f"config key {where}.published: no number is printed for {name!r}; give "
            f"one of {', '.join(printed_datasets())}, or null"
        )
    for key, wanted in FORMATS_OF_KEY.items():
        if key in dataset and kind not in wanted:
            raise UserError(
                f"config key {where}.{key}: it applies to format {' or '.join(wanted)} "
                f"only; take it out, or set format to {wanted[0]}"
            )
        lists = any("column" in split for split in dataset["splits"].values())
        if key in dataset and kind == "csv" and not lists:
            raise UserError(
                f"config key {where}.{key}: it applies to a column that lists classes; "
                f"name it as {where}.splits.train.column, or take {key} out"
            )
    for name, split in dataset["splits"].items():
        for key in NEEDED_OF_SPLIT[kind]:
            if key not in split:
                raise UserError(
                    f"config key {where}.splits.{name}.{key}: missing; "
                    f"format {kind} needs it"
                )
        useful = ["images", "shards", *NEEDED_OF_SPLIT[kind], *ALLOWED_OF_SPLIT[kind]]
        for key in split:
            if key not in useful:
                raise UserError(
                    f"config key {where}.splits.{name}.{key}: does not apply to "
                    f"format {kind}; its keys are {', '.join(useful)}"
                )
        for key in ("images", "annotations", "labels"):
            file = split.get(key)
            if file and not dataset.get("root") and file not in listed:
                raise UserError(
                    f"config key {where}.splits.{name}.{key}: {file} is not among the "
                    f"files to download; add it to {where}.files, or set {where}.root"
                )


def _check_methods(config: Mapping[str, Any]) -> None:
    """Check the options of the methods, and that recipes are of methods there are."""
    for recipe, known in config["recipes"].items():
        for name in known:
            if name not in config["methods"]:
                raise UserError(
                    f"config key recipes.{recipe}.{name}: unknown method; the methods "
                    f"are {', '.join(config['methods'])}"
                )
    for name in config["methods"]:
        method_strings.check_method(name, *plan.sources(config))


def _check_experiment(
    where: str, experiment: dict[str, Any], config: Mapping[str, Any]
) -> None:
    """Check an experiment's names; fill in what it leaves to the whole config."""
    _check_datasets(where, experiment, config)
    for key in ("proportions", "seeds"):
        experiment.setdefault(key, list(config[key]))
    for name in experiment.get("pictures", {}).get("names", {}):
        if name not in experiment["datasets"]:
            raise UserError(
                f"config key {where}.pictures.names: {name} is not a data set of this "
                f"figure; its data sets are {', '.join(experiment['datasets'])}"
            )
    groups = {where: experiment, f"{where}.systems": experiment.get("systems") or {}}
    masks.check_proportions(groups, config["datasets"])
    named = [
        (f"{key}.methods", method)
        for key, group in groups.items()
        for method in group.get("methods", [])
    ]
    if experiment.get("against") is not None:
        named.append((f"{where}.against", experiment["against"]))
    for key, method in named:
        try:
            plan.canonical(config, method)
        except UserError as error:
            raise UserError(f"config key {key}: {error}") from None


def _leave_to_boxes(config: dict[str, Any]) -> None:
    """Give `localisation` the data sets that have boxes; without any it is off."""
    experiment = config["experiments"].get("localisation")
    if experiment is None:
        return
    with_boxes = [n for n, d in config["datasets"].items() if d["format"] in BOXES]
    for name in experiment.get("datasets", []):
        if name in config["datasets"] and name not in with_boxes:
            raise UserError(
                f"config key experiments.localisation.datasets: {name} has no boxes, "
                f"which the formats {' and '.join(BOXES)} have; leave it out"
            )
    own = set(plan.own_images(config))
    experiment.setdefault("datasets", [name for name in with_boxes if name in own])
    if not experiment["datasets"]:
        del config["experiments"]["localisation"]


def _check_datasets(
    where: str, entry: dict[str, Any], config: Mapping[str, Any]
) -> None:
    """Check the data sets of an experiment or a tuning; by default it has all."""
    entry.setdefault("datasets", plan.own_images(config))
    for dataset in entry["datasets"]:
        if dataset not in config["datasets"]:
            raise UserError(
                f"config key {where}.datasets: unknown data set {dataset}; "
                f"the data sets are {', '.join(config['datasets'])}"
            )


def _check_tuning(entry: dict[str, Any], config: Mapping[str, Any]) -> None:
    """Check a tuning's names and values; fill in its data sets."""
    _check_datasets("tuning", entry, config)
    for key, names in (("methods", entry["methods"]), ("searches", entry["searches"])):
        for name in names:
            if name not in config["methods"]:
                raise UserError(
                    f"config key tuning.{key}: unknown method {name}; the methods are "
                    f"{', '.join(config['methods'])}"
                )
    own = {f"searches.{name}": found for name, found in entry["searches"].items()}
    for place, found in {"search": entry["search"], **own}.items():
        where = f"config key tuning.{place}"
        for option, values in found.items():
            for value in values:
                options.check({option: value}, where=where)
            if option in tuning.NOT_TUNED:
                raise UserError(f"{where}.{option}: cannot be searched; take it out")
            if option in config["methods"].get(place.partition(".")[2], {}):
                raise UserError(
                    f"{where}.{option}: the method sets it itself, which goes over any "
                    "recipe; take it out of one of them"
                )
    for option in entry["settings"].keys() & tuning.NOT_TUNED - {"eval_every"}:
        raise UserError(
            f"config key tuning.settings.{option}: cannot be set there; take it out"
        )
    for name in entry["methods"]:
        tuning.trials(config, name)
