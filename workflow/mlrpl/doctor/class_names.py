"""Whether classes are the same in both splits, and fit the encoder's text side."""

import csv
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from mlrpl.config import raw_files
from mlrpl.data.index import Index
from mlrpl.data.splits import check_class_lists
from mlrpl.errors import UserError

SPLITS = ("test", "train")


def text_faults(config: Mapping[str, Any], datasets: Collection[str]) -> list[str]:
    """Return one line for each thing that the encoder's text side cannot do.

    Args:
        config: the checked configuration.
        datasets: the data sets that the experiments name.
    """
    try:
        from mlrpl.encoder.clip import model_config
        from mlrpl.text.class_names import check_class_texts
    except ImportError:  # a fault of the versions
        return []
    model = config["encoder"]["model"]
    try:
        encoder = model_config(model)
    except UserError:
        return []  # a fault of the encoder's files
    faults: dict[str, None] = {}
    for name in datasets:
        entry = config["datasets"][name]
        classes = class_names(config, name)
        for key in ("names", "words"):
            for text in entry[key]:
                if classes is not None and text not in classes:
                    faults[
                        f"config key datasets.{name}.{key}: {text} is not a class of "
                        f"the data set; the classes are {', '.join(classes)}"
                    ] = None
        known = list(entry["names"]) if classes is None else classes
        texts = {key: text for key, text in entry["names"].items() if key in known}
        try:
            check_class_texts(model, encoder, known, texts)
        except UserError as error:
            where = "" if str(error).startswith("encoder") else f"datasets.{name}."
            faults[f"{where}{error}"] = None
    return list(faults)


def split_faults(config: Mapping[str, Any], datasets: Collection[str]) -> list[str]:
    """Return one line for each data set whose splits differ in their classes.

    Args:
        config: the checked configuration.
        datasets: the data sets that the runs are on.
    """
    faults = []
    for name in datasets:
        both = [(split, class_names(config, name, split)) for split in SPLITS]
        if all(classes is not None for _, classes in both):
            try:
                check_class_lists(name, *both)
            except UserError as error:
                faults.append(str(error))
    return faults


def class_names(
    config: Mapping[str, Any], dataset: str, split: str = "train"
) -> list[str] | None:
    """Return the classes of a data set's split; None where only its index will tell."""
    entry = config["datasets"][dataset]
    index = Path(config["results"]) / "data" / dataset / f"{split}.h5"
    try:
        return list(Index.load(index).classes)
    except UserError:
        pass
    if entry["format"] == "voc":
        from mlrpl.data.voc import VOC_CLASSES

        return list(entry.get("classes") or VOC_CLASSES)
    if entry["format"] == "csv":
        if "column" in entry["splits"][split]:
            return entry.get("classes")
        path = raw_files.split_source(config, dataset, split, "labels")
        try:
            with open(path, newline="", encoding="utf-8-sig") as file:
                header = next(csv.reader(file), [])
        except (OSError, ValueError, csv.Error):
            return None
        return [name.strip() for name in header if name not in ("image", "split")]
    return None
