"""Configuration files and values put over one another, as Snakemake does."""

from pathlib import Path

import pytest
import yaml

from mlrpl.config import files as config_files
from mlrpl.errors import UserError


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch, repository):
    """Work in a folder that holds the project's configuration."""
    (tmp_path / "config.yaml").write_text((repository / "config.yaml").read_text())
    monkeypatch.chdir(tmp_path)


def test_overlays_merge_as_snakemake_merges_them():
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
    found = config_files.load_config([f"{number}.yaml" for number in range(3)])
    assert found == expected


def test_values_go_over_files():
    config = config_files.load_config(values=["data_dir=/big/disk", "seeds=[3]"])
    assert (config["data_dir"], config["seeds"]) == ("/big/disk", [3])
    with pytest.raises(UserError, match="--config nothing: is not a setting"):
        config_files.load_config(values=["nothing"])
    with pytest.raises(UserError, match=r"--config a=\[: is not YAML"):
        config_files.load_config(values=["a=["])
