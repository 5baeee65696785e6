"""Targets as a person writes them on Snakemake's command line."""

import os
import re
from collections.abc import Iterable, Mapping
from typing import Any

from mlrpl.config import plan
from mlrpl.config.specs import did_you_mean
from mlrpl.errors import UserError

RUN_FILES = (
    "metrics.json",
    "run.json",
    "history.csv",
    "scores.h5",
    "weights.safetensors",
)


def unmade(asked: Iterable[str], rules: Iterable[Any]) -> list[str]:
    """Return the targets that nothing makes and that are not there.

    Args:
        asked: names of rules, or of files.
        rules: Snakemake's: each has a `name` and says `is_producer(file)`.
    """
    rules = list(rules)
    names = {rule.name for rule in rules}
    return [
        target
        for target in asked
        if target not in names
        and not os.path.exists(target)
        and not any(rule.is_producer(target) for rule in rules)
    ]


def known(rules: Iterable[Any]) -> list[str]:
    """Return what may be asked for: names of rules, and files without wildcards.

    Args:
        rules: Snakemake's, each with `name`, `products()` and `has_wildcards()`.
    """
    rules = list(rules)
    plain = [rule for rule in rules if not rule.has_wildcards()]
    files = [str(path) for rule in plain for path in rule.products()]
    return [*{rule.name for rule in rules}, *files]


def explain(target: str, config: Mapping[str, Any], known: Iterable[str]) -> None:
    """Say why nothing makes a target.

    Args:
        target: what was asked for.
        config: the checked configuration.
        known: names of rules and files that are made.

    Raises:
        UserError: always; of a run the part that is wrong, of anything else what is
            nearest to it.
    """
    runs = f"{config['results']}/runs/"
    if target.startswith(runs):
        _explain_run(target, target.removeprefix(runs).split("/"), config)
    hint = did_you_mean(target, known) or "`snakemake --list` shows the rules"
    raise UserError(f"{target}: nothing makes it; {hint}")


def _explain_run(target: str, parts: list[str], config: Mapping[str, Any]) -> None:
    """Raise if a part of a run's path is wrong."""
    datasets = config["datasets"]
    if parts[0] not in datasets:
        hint = did_you_mean(parts[0], datasets) or f"there are {', '.join(datasets)}"
        raise UserError(f"{target}: unknown data set {parts[0]}; {hint}")
    shape = "{dataset}/{method}/prop={proportion}/seed={seed}/{file}"
    if len(parts) != 5:
        raise UserError(f"{target}: is not a file of a run; write {shape}")
    try:
        plan.canonical(config, parts[1])
    except UserError as error:
        raise UserError(f"{target}: {error}") from None
    prop = _proportion(parts[2].removeprefix("prop="))
    if prop is None:
        raise UserError(
            f"{target}: {parts[2]} is not a proportion of known labels; write prop= "
            "and a number above 0, at most 1"
        )
    if f"prop={prop}" != parts[2]:
        raise UserError(
            f"{target}: {parts[2]} is prop={prop} in paths; ask for "
            f"{target.replace(parts[2], f'prop={prop}')}"
        )
    if not re.fullmatch(r"seed=(0|[1-9]\d*)", parts[3]):
        raise UserError(
            f"{target}: {parts[3]} is not a seed; write seed= and a whole number"
        )
    if parts[4] not in RUN_FILES:
        hint = did_you_mean(parts[4], RUN_FILES) or f"it has {', '.join(RUN_FILES)}"
        raise UserError(f"{target}: a run has no file {parts[4]}; {hint}")


def _proportion(text: str) -> str | None:
    """Return a proportion as paths have it; None if it is none."""
    try:
        value = float(text)
    except ValueError:
        return None
    return plan.proportion(value) if 0 < value <= 1 else None
