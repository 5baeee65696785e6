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


@pytest.mark.parametrize(
    "text",
    [
        *("seeds=[0, 4]", "proportions=[0.5, 1e-1]", "options={detach: false}"),
        *("encoder={image_size: 224}", "experiments={figure8: null}", "logs=12"),
        *("options={lr: 1e-4, recipe: none}", "results=a b", "tuning=null"),
    ],
)
def test_values_are_those_that_snakemake_and_the_workflow_read(text):
    from snakemake.cli import parse_config

    key = text.partition("=")[0]
    expected = config_files.typed(parse_config([text]))[key]
    found = config_files.load_config(values=[text], base="config.yaml")[key]
    base = config_files.read("config.yaml").get(key)
    if isinstance(expected, dict):
        expected = config_files.merge(base, expected)
    assert repr(found) == repr(expected)


def test_numbers_in_lists_of_the_command_line_are_numbers():
    found = config_files.load_config(values=["seeds=[0, 4]", "proportions=[0.5]"])
    assert (found["seeds"], found["proportions"]) == ([0, 4], [0.5])


def test_elsewhere_the_projects_own_configuration_is_under_that_of_the_folder(
    tmp_path, monkeypatch, repository
):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert config_files.load_config() == config_files.read(repository / "config.yaml")
    Path("config.yaml").write_text("logs: mine")
    found = config_files.load_config()
    assert found["logs"] == "mine"
    assert found["methods"]
