"""docs/rivals.md: its losses are all there are, and its configuration is valid."""

import math
import re

import pytest
import yaml

from mlrpl.config import ablations, plan
from mlrpl.config.options import options_schema
from mlrpl.config.validation import validate
from mlrpl.data.masks import SCHEMES
from mlrpl.errors import UserError
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
    block, _ = re.findall(r"```yaml\n(.*?)```", page, re.S)
    config = validate(merged(paper, yaml.safe_load(block)))
    single = config["datasets"]["voc2007_single"]
    assert single["masks"] == "single_positive"
    runs = plan.runs(config, **plan.experiment(config, "table4"))
    assert len(runs) == 3
    assert all(run.startswith("voc2007_single/") for run in runs)
    assert all("/prop=1.0/" in run for run in runs)


def test_the_commands_target_is_an_ablation_of_configured_methods(page, repository):
    assert set(re.findall(r"snakemake (\w+)", page)) == {"ablation_rivals", "tuning"}
    config = validate(yaml.safe_load((repository / "config.yaml").read_text()))
    assert "rivals" in ablations.names() and "rivals" not in config["ablations"]
    runs = ablations.runs(config, ablations.FOLDER / "rivals.smk")
    methods = {run.split("/")[1].partition("+")[0] for run in runs}
    systems = set(config["experiments"]["table2"]["systems"]["methods"])
    coop = {"coop", "coop_csp", "coop_sd"}
    assert methods == set(config["methods"]) - systems - coop
    assert {run.split("seed=")[1] for run in runs} == {"0"}
    # The last command's config asks for one proportion.
    half = ablations.runs(
        {**config, "proportions": [0.5]}, ablations.FOLDER / "rivals.smk"
    )
    assert half == [run for run in runs if "/prop=0.5/" in run]


def test_the_methods_that_it_names_are_there(page, repository):
    config = validate(several_views(page, repository))
    named = re.findall(r"`(\w+\+\w+=[\w.]+(?:\+\w+=[\w.]+)*)`", page)
    assert {"pu_mlc+transfer=mixup", "sarl+ema=epoch+ema_decay=0.82"} < set(named)
    for name in named:
        assert plan.canonical(config, name) == name


def several_views(page, repository):
    paper = yaml.safe_load((repository / "config.yaml").read_text())
    _, block = re.findall(r"```yaml\n(.*?)```", page, re.S)
    return merged(paper, yaml.safe_load(block))


def test_views_are_compared_where_there_are_several(page, repository):
    raw = several_views(page, repository)
    config = validate(raw)
    runs = plan.runs(config, **plan.experiment(config, "table4"))
    assert {run.split("/")[1] for run in runs} == {
        *("scpnet", "scpnet+transfer=scpnet", "sarl+transfer=scpnet")
    }
    raw["encoder"]["views"] = ["full"]
    with pytest.raises(UserError, match=r"compares 2 views .* encoder.views has 1"):
        validate(raw)


def test_the_recipes_are_the_public_codes(repository):
    config = validate(yaml.safe_load((repository / "config.yaml").read_text()))
    cycles = {
        # epochs of 80 (CSL: of its own), rate, decay
        "splc": (31, 80, 1e-4, "step", 0.9997),
        "hill": (31, 80, 1e-4, "step", 0.9997),
        "pu_mlc": (41, 80, 1e-4, "step", 0.9997),
        "csl": (30, 0, 2e-4, "step", 0.9997),
        "scpnet": (60, 80, 3e-5, "epoch", 0.82),
    }
    names = "epochs", "one_cycle_epochs", "lr", "ema", "ema_decay"
    for method, values in cycles.items():
        found = plan.method_options(config, method)
        assert tuple(found[name] for name in names) == values
        assert (found["schedule"], found["one_cycle_pct"]) == ("one_cycle", 0.2)
        assert (found["recipe"], found["optimizer"]) == ("published", "adam")


def test_what_an_average_keeps_of_the_start(page):
    """At 5,011 and 82,081 images, 128 at once."""
    steps = [math.ceil(images / 128) for images in (5011, 82081)]
    assert f"{0.9997 ** (31 * steps[0]):.2f} of it after SPLC's 31 epochs" in page
    assert f"VOC's {steps[0]} an epoch" in page
    assert f"{0.9997 ** steps[1]:.2f}" == "0.82"
