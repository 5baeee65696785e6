"""Data sets that have the images of another one, and other known labels."""

import copy
from collections.abc import Mapping
from typing import Any

from mlrpl.errors import UserError

OWN_KEYS = {"same_images_as", "masks", "title", "published"}


def share_images(datasets: Any) -> None:
    """Give a data set with `same_images_as` what the other one has, in place.

    Args:
        datasets: the config's, not yet checked.

    Raises:
        UserError: one line that names the key: one that is the other's, or no other.
    """
    if not isinstance(datasets, dict):
        return
    for name, dataset in datasets.items():
        if not isinstance(dataset, dict) or not dataset.get("same_images_as"):
            continue
        where, other = f"config key datasets.{name}", dataset["same_images_as"]
        if extra := dataset.keys() - OWN_KEYS:
            raise UserError(
                f"{where}.{min(extra)}: it is that of {other}, whose images these are; "
                "take it out"
            )
        shared = datasets.get(other) if isinstance(other, str) else None
        if not isinstance(shared, dict) or shared.get("same_images_as"):
            raise UserError(
                f"{where}.same_images_as: {other} is not a data set with images of its "
                "own, or is switched off; name one that is there"
            )
        own = {"title": name, "published": None, "masks": "uniform"}
        datasets[name] = {**copy.deepcopy(shared), **own, **dataset}


def check_proportions(
    groups: Mapping[str, Mapping[str, Any]], datasets: Mapping[str, Any]
) -> None:
    """Refuse proportions of a data set whose masks have none.

    Args:
        groups: an experiment and its systems, by config key; these may be empty.
        datasets: the config's, checked.

    Raises:
        UserError: one line that names the experiment and the data set.
    """
    own = next(iter(groups.values()))
    for key, group in groups.items():
        proportions = group.get("proportions", own["proportions"])
        for dataset in group.get("datasets", own["datasets"]):
            single = datasets[dataset]["masks"] == "single_positive"
            if single and group and [float(p) for p in proportions] != [1.0]:
                raise UserError(
                    f"config key {key}.proportions: the masks of {dataset} keep one "
                    "positive an image, at the proportion 1 alone; give [1.0], or "
                    "leave this data set out"
                )
