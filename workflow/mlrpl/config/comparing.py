"""Which experiments are compared with one of their methods."""

from collections.abc import Mapping
from typing import Any

from mlrpl.config import names, plan
from mlrpl.errors import UserError


def against(config: Mapping[str, Any]) -> dict[str, str]:
    """Return by experiment the method to compare the others with.

    An experiment without `against` is not compared, nor one that does not have this
    method, or no other one: a configuration may change its methods alone.
    """
    found = {}
    for name, entry in config["experiments"].items():
        if entry.get("against") is None:
            continue
        wanted = plan.canonical(config, entry["against"])
        methods = {
            plan.canonical(config, method)
            for group in (entry, entry.get("systems") or {})
            for method in group.get("methods", [])
        }
        if wanted in methods and len(methods) > 1:
            found[name] = wanted
    return found


def titles(config: Mapping[str, Any], experiment: str) -> dict[str, str]:
    """Return what an experiment's methods and data sets are called."""
    runs = plan.runs(config, **plan.experiment(config, experiment))
    pairs = [run.split("/")[:2] for run in runs]
    called = {method: names.title(config, method) for _, method in pairs}
    datasets = {name: config["datasets"][name]["title"] for name, _ in pairs}
    return datasets | called


def canonical_pairs(
    config: Mapping[str, Any], pairs: Mapping[str, str]
) -> dict[str, str]:
    """Return methods and what each is compared with by their canonical names.

    A pair that is the same run under this configuration is left out. Two pairs that
    begin with one run, as where the options are others than a pair's author thought
    of, are both kept: the second is turned round.

    Raises:
        UserError: a third pair begins with one run.
    """
    found: dict[str, str] = {}
    for pair in pairs.items():
        method, base = (plan.canonical(config, name) for name in pair)
        if method == base or found.get(method) == base:
            continue
        if found.get(base) == method:  # turned round before
            continue
        if method in found:
            method, base = base, method
        if method in found:
            raise UserError(
                f"the pairs {' and '.join(pair)} and {method} and {found[method]} "
                "begin with one run in this configuration; write one of them out"
            )
        found[method] = base
    return found
