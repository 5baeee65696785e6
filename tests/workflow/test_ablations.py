"""Ablations as files of their own, and single runs as targets."""

import re
from pathlib import Path

import pytest

from support.workflow_tree import job_counts, jobs, methods_trained, snakemake

pytestmark = pytest.mark.workflow
DRY = ("-n", "--cores", "8")
REPOSITORY = Path(__file__).resolve().parents[2]

ABLATION = """\
LR = {"method": ["sarl", "sarl+lr=0.1"], "prop": 0.5, "seed": 0}


use rule table as ablation_lr with:
    input:
        **shown(**LR),
    output:
        **table_files("<results>/ablations/lr", category="Ablations"),
    log:
        "<logs>/ablations/lr.log",
    params:
        spec=spec({"title": "Learning rate", "layout": "proportions"}, **LR),
"""


def test_an_ablation_is_a_file(changed):
    changed.write("workflow/ablations/lr.smk", ABLATION)
    output = changed.plan()
    counts = {
        "train": 2,
        "evaluate": 2,
        "ablation_lr": 1,
        "collect": 1,
        "all": 1,
    }
    assert job_counts(output) == counts
    assert methods_trained(output) == {"sarl+lr=0.1"}
    [collect] = jobs(output, "collect")
    assert "results/runs/mine/sarl+lr=0.1/prop=0.5/seed=0/metrics.json" in (
        collect["input"].split(", ")
    )
    done = snakemake(changed.folder, "ablation_lr", *changed.arguments("--cores", "2"))
    assert done.returncode == 0, done.stdout
    table = (changed.folder / "results/ablations/lr.md").read_text()
    assert "sarl+lr=0.1" in table and "--published --metrics results/runs" in table
    (changed.folder / "workflow/ablations/lr.smk").unlink()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("as ablation_lr", "as context"), "has a rule context; name it ablation_lr"),
        (("as ablation_lr", "as ablation_"), "has a rule ablation_; name it"),
        (("use rule table as ablation_lr with", "X = dict"), "has no rule ablation_lr"),
        (("LR =", "DATASETS = LR ="), "assigns DATASETS, which the workflow uses"),
    ],
)
def test_an_ablation_cannot_collide_with_the_workflow(changed, change, said):
    path = changed.folder / "workflow/ablations/lr.smk"
    text = ABLATION.replace(*change)
    if "X = dict" in text:
        text = text.split("\n\n\n")[0]
    path.write_text(text)
    done = snakemake(changed.folder, *changed.arguments(*DRY[:3]))
    path.unlink()
    assert done.returncode == 1
    error = done.stdout.splitlines()[-1]
    assert error.startswith(f"Error: {path}: ") and said in error


def test_no_rule_of_the_workflow_is_named_as_an_ablations(repository):
    for path in (repository / "workflow/rules").glob("*.smk"):
        assert not re.search(r"^(use )?rule .*ablation_", path.read_text(), re.M)


def test_the_readmes_ablation_runs_as_it_stands(changed):
    """Its block, saved where it says, and its command line."""
    text = (REPOSITORY / "README.md").read_text()
    section = text.split("\n## Your own ablation\n")[1].split("\n## ")[0]
    [name] = re.findall(r"Saved as\s+`(workflow/ablations/\w+\.smk)`", section)
    [block] = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    [command] = re.findall(r"^`(snakemake [^`]*)` makes", section, re.MULTILINE)
    changed.write(name, block)
    try:
        words = command.split()
        assert words[0] == "snakemake"
        arguments = [*words[1:], "--configfile", "small.yaml"]
        done = snakemake(changed.folder, *arguments)
        assert done.returncode == 0, done.stdout
        for ending in ("md", "csv", "tex"):
            table = changed.folder / f"results/ablations/{Path(name).stem}.{ending}"
            assert "sarl+context_init=a_photo_of_a" in table.read_text()
    finally:
        (changed.folder / name).unlink()


def test_the_readmes_command_lines_leave_the_target_to_itself(repository):
    """`--resources` and `--configfile` take all words that follow."""
    text = (repository / "README.md").read_text()
    for line in re.findall(r"snakemake [^`\n]*", text):
        words = line.split("#")[0].split()
        for flag in ("--resources", "--configfile", "--config"):
            if flag in words:
                after = words[words.index(flag) + 2 :]
                assert not after or after[0].startswith("-"), line


RUN = "results/runs/mine/{}/prop=0.5/seed=0/metrics.json"


def test_any_run_is_a_target(finished):
    output = finished.plan(RUN.format("coop+epochs=3+loss=p_bce"))
    [train] = jobs(output, "train")
    assert "method=coop+epochs=3+loss=p_bce" in train["wildcards"]


def test_a_run_by_another_name_is_one_line(finished):
    target = RUN.format("sarl+loss=p_bce+epochs=3")
    done = snakemake(finished.folder, target, *finished.arguments("--cores", "1"))
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1] == (
        "Error: sarl+loss=p_bce+epochs=3 is the same run as sarl+epochs=3+loss=p_bce; "
        "ask for sarl+epochs=3+loss=p_bce"
    )
    assert "Traceback" not in done.stdout
    # The folder is not left locked.
    target = RUN.format("sarl+gama=1")
    done = snakemake(finished.folder, target, *finished.arguments("--cores", "1"))
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1] == (
        "Error: method sarl+gama=1: unknown option gama; did you mean gamma_pos?"
    )
