"""What methods are called: here, by the configuration, and in the paper."""

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlrpl.config.shipped import read_shipped

FACTS = Path(__file__).resolve().parents[2] / "published/methods.yaml"


def title(config: Mapping[str, Any], method: str) -> str:
    """Return what a method is called: `sarl+loss=p_bce` after `sarl` if need be."""
    titles = config["titles"]
    name, plus, overrides = method.partition("+")
    return titles.get(method, titles.get(name, name) + plus + overrides)


def printed(config: Mapping[str, Any], method: str) -> str:
    """Return what printed numbers call a method: `Ours+gamma_neg=0`.

    A method that the paper does not name is called by its title.
    """
    name, plus, overrides = method.partition("+")
    return _printed().get(name, title(config, name)) + plus + overrides


def titles_of_printed(config: Mapping[str, Any]) -> dict[str, str]:
    """Return the titles of the paper's methods that it prints under another name."""
    found = {
        theirs: title(config, name)
        for name, theirs in _printed().items()
        if name in config["methods"]
    }
    return {theirs: ours for theirs, ours in found.items() if theirs != ours}


@functools.cache
def _printed() -> dict[str, str]:
    facts = read_shipped(FACTS)
    return {name: f["printed"] for name, f in facts.items() if f.get("printed")}
