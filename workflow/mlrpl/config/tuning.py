"""What a tuning tries: the trials of each method, and which options a recipe has.

A trial is a run: a method with overrides, among them the share of training images that
are held out. The one with the best validation mAP is chosen (`reporting.tuning`).
"""

import math
import random
from collections.abc import Mapping
from typing import Any

from mlrpl.config import method_strings, options, plan

# Points of a grid that are looked at for each trial that is wanted: where few options
# apply to a method, many of its points are the same run.
LOOKED_AT = 50

# How often a training is tested is no part of a recipe, and the images that are held
# out of a trial are trained on afterwards.
NOT_TUNED = frozenset({"eval_every", "recipe", "validation"})


def grid(config: Mapping[str, Any], method: str) -> dict[str, list]:
    """Return the options that are searched for a method, and the values of each.

    Without those that the method sets itself: they would go over any recipe.
    """
    entry = config["tuning"]
    searched = {**entry["search"], **entry["searches"].get(method, {})}
    own = config["methods"][method]
    return {k: values for k, values in searched.items() if k not in own}


def trials(config: Mapping[str, Any], method: str) -> list[str]:
    """Return the trials of a method as canonical names, in the order of its grid.

    The whole grid, or a random part of `trials` points that depends on the seed and the
    method's name alone. An option that does not apply to a point is left out, and a run
    comes once.

    Args:
        config: the checked configuration, its tuning on.
        method: one of the configuration's methods.

    Raises:
        UserError: for values that exclude each other.
    """
    entry, searched = config["tuning"], grid(config, method)
    own = config["methods"][method]
    fixed = {k: v for k, v in entry["settings"].items() if k not in own}
    fixed["validation"] = entry["validation"]
    size = math.prod(map(len, searched.values()))
    draws = random.Random(f"{entry['seed']} {method}")
    numbers = draws.sample(range(size), min(size, LOOKED_AT * entry["trials"]))
    found: dict[str, int] = {}
    for number in numbers:
        text = _applying(config, method, fixed | _point(searched, number))
        if text not in found and len(found) == entry["trials"]:
            break
        found[text] = min(number, found.get(text, number))
    return [plan.canonical(config, text) for text in sorted(found, key=found.get)]


def _point(searched: Mapping[str, list], number: int) -> dict[str, Any]:
    """Return a point of a grid by its number; the last option varies first."""
    values = {}
    for option, choices in reversed(searched.items()):
        number, place = divmod(number, len(choices))
        values[option] = choices[place]
    return values


def _applying(
    config: Mapping[str, Any], method: str, overrides: Mapping[str, Any]
) -> str:
    """Return a method with those overrides that apply beside the others."""
    base, own = config["options"], config["methods"][method]
    recipe = config["recipes"].get(_used_recipe(config, method), {}).get(method, {})
    there = options.applying({**base, **recipe, **own, **overrides})
    kept = [k for k in sorted(overrides) if k in there]
    texts = (f"{k}={method_strings.format_value(overrides[k])}" for k in kept)
    return "+".join([method, *texts])


def _used_recipe(config: Mapping[str, Any], method: str) -> str:
    """Return the name of the recipe that a method is configured with."""
    return {**config["options"], **config["methods"][method]}.get("recipe", "none")


def runs(config: Mapping[str, Any], dataset: str, method: str) -> list[str]:
    """Return the folders of a method's trials on a data set."""
    entry = config["tuning"]
    names = trials(config, method)
    return plan.runs(config, dataset, names, entry["proportion"], entry["seed"])


def recipe_options(config: Mapping[str, Any], method: str) -> list[str]:
    """Return the options that a method's recipe has, those that are searched first.

    These, the settings, and what the method's recipes have: the new one takes the place
    of the one that the method is configured with, and goes over an earlier `tuned`.
    """
    own, recipes = config["methods"][method], config["recipes"]
    others = set(config["tuning"]["settings"])
    for name in (_used_recipe(config, method), "tuned"):
        others |= recipes.get(name, {}).get(method, {}).keys()
    names = dict.fromkeys([*grid(config, method), *sorted(others)])
    return [name for name in names if name not in NOT_TUNED and name not in own]
