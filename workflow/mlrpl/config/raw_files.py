"""The files that a configuration starts from: archives, vectors, the encoder's.

Each is where the config says that it lies, or where it is downloaded to.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlrpl.config import plan

CHECKPOINTS = (".pt", ".pth", ".bin", ".safetensors", ".ckpt")


def source(config: Mapping[str, Any], dataset: str, file: str) -> str:
    """Return the path of a data set's file: below its root, or as downloaded."""
    dataset = plan.images_of(config, dataset)
    return _folder(config, config["datasets"][dataset]["root"], dataset) + file


def split_source(config: Mapping[str, Any], dataset: str, split: str, key: str) -> str:
    """Return the path of a split's `images`, `annotations` or `labels`.

    Where the archive is not below the data set's root and its content lies there
    unpacked, that is the root itself: a folder reads as the archive would.
    """
    entry = config["datasets"][dataset]
    part = entry["splits"][split]
    path, root = Path(source(config, dataset, part[key])), entry["root"]
    if root is None or path.exists():
        return str(path)
    if entry["format"] == "voc":
        patterns = [below + "JPEGImages" for below in ("", "*/", "*/*/")]
    elif key == "images" and part.get("prefix"):
        patterns = [part["prefix"]]
    elif key == "annotations" and part.get("member"):
        patterns = [part["member"]]
    else:
        return str(path)
    unpacked = any(any(Path(root).glob(pattern)) for pattern in patterns)
    return root if unpacked else str(path)


def glove_source(config: Mapping[str, Any]) -> str:
    """Return the path of GloVe's file."""
    glove = config["glove"]
    return _folder(config, glove["root"], "glove") + glove["file"]


def downloads(config: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return what to download: path below `data_dir` -> addresses, hash and size."""
    found = {
        f"{name}/{file}": entry
        for name, dataset in config["datasets"].items()
        if dataset["root"] is None and dataset["same_images_as"] is None
        for file, entry in dataset["files"].items()
    }
    glove = config["glove"]
    if glove["root"] is None:
        found[f"glove/{glove['file']}"] = glove
    keys = ("url", "sha256", "md5", "size")
    return {
        path: {key: entry[key] for key in keys if key in entry}
        for path, entry in found.items()
    }


def model_config(config: Mapping[str, Any]) -> list[str]:
    """Return the encoder's model config, if it is a file and not open_clip's name."""
    model = config["encoder"]["model"]
    return [model] if model.endswith(".json") else []


def encoder_files(config: Mapping[str, Any]) -> list[str]:
    """Return the encoder's files, if it is not one of open_clip's names and tags."""
    pretrained = config["encoder"]["pretrained"]
    return model_config(config) + (
        [pretrained] if pretrained.endswith(CHECKPOINTS) else []
    )


def fetched_weights(config: Mapping[str, Any]) -> list[str]:
    """Return the file that the weights of open_clip's tag are fetched to, if it is one.

    The jobs that read it may run where there is no network.
    """
    model, pretrained = (config["encoder"][key] for key in ("model", "pretrained"))
    own = "/" in pretrained or pretrained.endswith(CHECKPOINTS)
    if own or model_config(config):
        return []
    name = re.sub(r"[^A-Za-z0-9_.-]", "_", f"{model}_{pretrained}")
    return [f"{config['data_dir']}/clip/{name}"]


def _folder(config: Mapping[str, Any], root: str | None, name: str) -> str:
    return f"{config['data_dir']}/{name}/" if root is None else f"{root}/"
