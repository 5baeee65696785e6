"""A tuning from its configuration to the recipes, by a stand-in's trainings."""

import csv
from pathlib import Path

import pytest
import yaml

from mlrpl.config import files, plan
from mlrpl.config.validation import validate
from support.small_workflow import SMALL
from support.workflow_tree import job_counts, jobs, methods_trained, snakemake

pytestmark = pytest.mark.workflow

TUNING = {
    "datasets": ["mine"],
    "methods": ["coop", "sst"],
    "trials": 2,
    "search": {"lr": [0.01, 0.0003]},
    "settings": {"epochs": 7},
}
# In front of the stand-in: a training whose history depends on the method and the rate,
# its test mAP the other way round, and the real command.
TRIALS = """\
import json, sys
from pathlib import Path

if sys.argv[1] == "tune":
    import argparse
    from mlrpl.commands import tune

    parser = argparse.ArgumentParser()
    tune.add_arguments(parser)
    sys.exit(tune.run(parser.parse_args(sys.argv[2:])))
if sys.argv[1] == "train":
    words = sys.argv[2:]
    given = lambda name: words[words.index(f"--{name}") + 1]
    folder, options = Path(given("output-dir")), json.loads(given("options"))
    found = 50 + 1000 * options["lr"] * (-1 if "sst" in given("method") else 1)
    folder.mkdir(parents=True, exist_ok=True)
    line = f"{options['epochs']},0.1,1.0,{100 - found},{found}"
    (folder / "history.csv").write_text(f"epoch,lr,loss,mAP,validation_mAP\\n{line}\\n")
    run = {"dataset": given("dataset"), "method": given("method"), "options": options}
    run |= {"prop": float(given("prop")), "seed": int(given("seed"))}
    run |= {"seconds": {"load": 1.0, "train": 60.0}}
    (folder / "run.json").write_text(json.dumps(run))
    for name in ("weights.safetensors", "scores.h5"):
        (folder / name).write_text("")
    sys.exit()
"""


def trialled(folder: Path) -> None:
    path = folder / "workflow/mlrpl/__main__.py"
    path.write_text(TRIALS + path.read_text())


def test_a_tuning_ends_in_recipes_that_the_config_takes(changed):
    changed.overlay({"tuning": TUNING})
    trialled(changed.folder)
    arguments = changed.arguments("--cores", "2")
    done = snakemake(changed.folder, "tuning", *arguments)
    assert done.returncode == 0, done.stdout
    results = changed.folder / "results/tuning"
    with (results / "mine/sst.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["lr"], row["validation_mAP"]) for row in rows] == [
        ("0.0003", "49.7"),
        ("0.01", "40.0"),
    ]
    found = yaml.safe_load((results / "recipes.yaml").read_text())["recipes"]["tuned"]
    assert found["coop"] == {"lr": 0.01, "epochs": 7}
    # The rest of what its own recipe sets comes along.
    assert (found["sst"]["lr"], found["sst"]["epochs"]) == (0.0003, 7)
    base = files.read(changed.folder / "config.yaml")
    published = base["recipes"]["published"]["sst"]
    assert found["sst"] == published | {"lr": 0.0003, "epochs": 7}
    # As a config file: the recipe is there to be chosen.
    overlays = [changed.folder / "small.yaml", results / "recipes.yaml"]
    config = validate(files.load_config(overlays, base=changed.folder / "config.yaml"))
    for method in ("coop", "sst"):
        tuned = plan.method_options(config, f"{method}+recipe=tuned")
        assert {name: tuned[name] for name in found[method]} == found[method]


def test_a_dry_run_names_the_trials(changed):
    changed.overlay({"tuning": TUNING | {"datasets": ["voc2007"], "seed": 5}})
    output = changed.plan("tuning")
    counts = job_counts(output)
    assert (counts["train"], counts["trials"], counts["recipes"]) == (4, 2, 1)
    assert counts["drop"] == 1 and "evaluate" not in counts
    assert methods_trained(output) == {
        f"{method}+epochs=7+lr={lr}+validation=0.2"
        for method in ("coop", "sst")
        for lr in ("0.01", "0.0003")
    }
    for job in jobs(output, "train"):
        assert "dataset=voc2007" in job["wildcards"]
        assert "prop=0.5, seed=5" in job["wildcards"]


def test_nothing_of_it_runs_by_default(changed):
    changed.overlay({"tuning": TUNING})
    assert job_counts(changed.plan()) == {}
    changed.overlay({})
    arguments = changed.arguments("-n", "--cores", "1")
    done = snakemake(changed.folder, "tuning", *arguments)
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1] == (
        "Error: config key tuning: it is off; name methods and a search"
    )
    assert "tuning" not in SMALL
