"""Configurations put over one another."""

import copy


class Only(dict):
    """A mapping that stands in for the one it is put over."""


def merged(base: dict, over: dict) -> dict:
    """`over` put over `base` the way Snakemake does with a second config file."""
    result = copy.deepcopy(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(result.get(key), dict)
        if both and not isinstance(value, Only):
            value = merged(result[key], value)
        result[key] = value
    return result


CSV_SPLIT = {"images": "images.zip", "labels": "labels.csv"}
MINE = {
    "format": "csv",
    "root": "mine",
    "splits": {"train": CSV_SPLIT, "test": CSV_SPLIT},
}
