"""Whether the texts of classes fit the data sets and the encoder's text side."""

import csv
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from mlrpl.config import plan
from mlrpl.data.index import Index
from mlrpl.errors import UserError


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


def class_names(config: Mapping[str, Any], dataset: str) -> list[str] | None:
    """Return a data set's classes; None where only its index will tell."""
    entry = config["datasets"][dataset]
    index = Path(config["results"]) / "data" / dataset / "train.h5"
    try:
        return list(Index.load(index).classes)
    except UserError:
        pass
    if entry["format"] == "voc":
        from mlrpl.data.voc import VOC_CLASSES

        return list(entry.get("classes") or VOC_CLASSES)
    if entry["format"] == "csv":
        path = plan.split_source(config, dataset, "train", "labels")
        try:
            with open(path, newline="", encoding="utf-8-sig") as file:
                header = next(csv.reader(file), [])
        except (OSError, ValueError, csv.Error):
            return None
        return [name.strip() for name in header if name not in ("image", "split")]
    return None
