"""docs/rivals.md: its losses are all there are, and its configuration is valid."""

import re

import pytest
import yaml

from mlrpl.config import ablations, plan
from mlrpl.config.options import options_schema
from mlrpl.config.validation import validate
from mlrpl.data.masks import SCHEMES
from support.configs import merged


@pytest.fixture(scope="module")
def page(repository) -> str:
    return (repository / "docs/rivals.md").read_text()


def first_cells(page, head):
    table = page.split(f"| {head} |")[1].split("\n\n")[0]
    return re.findall(r"^\| `(\w+)`", table, re.M)


def test_every_loss_says_what_it_takes_unknown_labels_for(page):
    losses = list(options_schema()["properties"]["loss"]["parts"])
    assert first_cells(page, "loss") == losses[2:]  # after P-ASL and P-BCE


def test_every_scheme_of_masks_has_a_row(page):
    assert set(first_cells(page, "masks")) == set(SCHEMES)


def test_the_configuration_is_valid(page, repository):
    paper = yaml.safe_load((repository / "config.yaml").read_text())
    (block,) = re.findall(r"```yaml\n(.*?)```", page, re.S)
    config = validate(merged(paper, yaml.safe_load(block)))
    single = config["datasets"]["voc2007_single"]
    assert single["masks"] == "single_positive"
    runs = plan.runs(config, **plan.experiment(config, "table4"))
    assert len(runs) == 3
    assert all(run.startswith("voc2007_single/") for run in runs)
    assert all("/prop=1.0/" in run for run in runs)


def test_the_commands_target_is_an_ablation_of_configured_methods(page, repository):
    assert set(re.findall(r"snakemake (\w+)", page)) == {
        *("ablation_rivals", "ablation_rivals_half", "tuning")
    }
    config = validate(yaml.safe_load((repository / "config.yaml").read_text()))
    assert "rivals" in ablations.names() and "rivals" not in config["ablations"]
    runs = ablations.runs(config, ablations.FOLDER / "rivals.smk")
    methods = {run.split("/")[1].partition("+")[0] for run in runs}
    systems = set(config["experiments"]["table2"]["systems"]["methods"])
    coop = {"coop", "coop_csp", "coop_sd"}
    assert methods == set(config["methods"]) - systems - coop
    assert {run.split("seed=")[1] for run in runs} == {"0"}
    half = ablations.runs(config, ablations.FOLDER / "rivals_half.smk")
    assert half == [run for run in runs if "/prop=0.5/" in run]


def test_the_methods_that_it_names_are_there(page, repository):
    config = validate(yaml.safe_load((repository / "config.yaml").read_text()))
    for name in re.findall(r"`(\w+\+\w+=\w+)`", page):
        assert plan.canonical(config, name) == name
