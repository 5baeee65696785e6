"""What a schema cannot say of a configuration: names, and what depends on other keys.

Each check raises a `UserError` of one line that names the key.
"""

import csv
import functools
from collections.abc import Mapping
from typing import Any

from mlrpl.config import masks, method_strings, options, plan, raw_files, tuning
from mlrpl.config.paths import PROJECT
from mlrpl.errors import UserError

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
def printed_datasets() -> list[str]:
    """Return the data sets for which workflow/published has numbers, sorted."""
    names = set()
    for path in PUBLISHED.glob("*.csv"):
        with path.open(newline="", encoding="utf-8") as file:
            names |= {row["dataset"] for row in csv.DictReader(file)}
    return sorted(names - {""})


def check_encoder(config: Mapping[str, Any]) -> None:
    """Check that tests see whole images, and that a hash is of a file to fetch."""
    views = config["encoder"]["views"]
    if views[0] != "full":
        raise UserError(
            f"config key encoder.views: {', '.join(views)} begins with {views[0]}, and "
            "the first view is what a test sees of an image; begin with full"
        )
    if config["encoder"].get("sha256") and not raw_files.fetched_weights(config):
        raise UserError(
            "config key encoder.sha256: it is of the file of one of open_clip's tags; "
            "take it out, for model and pretrained are files of your own"
        )


def check_dataset(where: str, dataset: Mapping[str, Any]) -> None:
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


def check_methods(config: Mapping[str, Any]) -> None:
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


def check_experiment(
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


def leave_to_boxes(config: dict[str, Any]) -> None:
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


def check_tuning(entry: dict[str, Any], config: Mapping[str, Any]) -> None:
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
