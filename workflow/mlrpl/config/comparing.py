"""Which experiments are compared with one of their methods."""

from collections.abc import Mapping
from typing import Any

from mlrpl.config import names, plan


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

    A pair that is the same run under this configuration is left out.
    """
    found = {
        plan.canonical(config, a): plan.canonical(config, b) for a, b in pairs.items()
    }
    return {method: base for method, base in found.items() if method != base}
