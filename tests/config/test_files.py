"""Configuration files and values put over one another, as Snakemake does."""

from pathlib import Path

import pytest
import yaml

from mlrpl.config import files as config_files
from mlrpl.errors import UserError


def test_overlays_merge_as_snakemake_merges_them(repository):
    from snakemake.common.configfile import load_configfile
    from snakemake.utils import update_config

    overlays = [
        {"datasets": {"voc2007": None, "coco2014": {"files": {"train2014.zip": None}}}},
        {"datasets": {"voc2007": {"root": "x"}}, "seeds": {"a": [1]}, "new": {}},
        {"datasets": {"coco2014": {"files": None}}, "seeds": [4]},
    ]
    expected = load_configfile("config.yaml")
    changes: dict = {}
    for number, overlay in enumerate(overlays):
        Path(f"{number}.yaml").write_text(yaml.safe_dump(overlay))
        update_config(changes, load_configfile(f"{number}.yaml"))
    update_config(expected, changes)
    found = config_files.load([f"{number}.yaml" for number in range(3)])
    assert found == expected


def test_values_go_over_files():
    config = config_files.load(values=["data_dir=/big/disk", "seeds=[3]"])
    assert (config["data_dir"], config["seeds"]) == ("/big/disk", [3])
    with pytest.raises(UserError, match="--config nothing: is no setting"):
        config_files.load(values=["nothing"])
    with pytest.raises(UserError, match=r"--config a=\[: is no YAML"):
        config_files.load(values=["a=["])
