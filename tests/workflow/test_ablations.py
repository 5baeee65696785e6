"""Ablations as files of their own, and single runs as targets."""

import json
import re
import shutil

import pytest

from mlrpl.config import plan
from mlrpl.config.files import load_config
from mlrpl.config.validation import validate
from support.workflow_tree import job_counts, jobs, methods_trained, snakemake

pytestmark = pytest.mark.workflow
DRY = ("-n", "--cores", "8")

ABLATION = """\
\"""Two learning rates.\"""


use rule table_ablation as ablation_lr with:
    input:
        **ablation(title="Rates", method=["sarl", "sarl+lr=0.1"], prop=0.5, seed=0),
"""
# The same with all that the base rule gives written out.
WRITTEN_OUT = """\
LR = {"method": ["sarl", "sarl+lr=0.1"], "prop": 0.5, "seed": 0}


use rule table as ablation_lr with:
    input:
        **shown(**LR),
    output:
        **table_files("<results>/ablations/lr", category="Ablations"),
    log:
        "<logs>/ablations/lr.log",
    params:
        spec=spec({"title": "Rates", "layout": "proportions"}, **LR),
"""


@pytest.fixture
def ablations(changed):
    """The folder for ablations of the small workflow; new ones are taken out again."""
    folder = changed.folder / "workflow/ablations"
    before = set(folder.iterdir())
    yield folder
    for path in set(folder.iterdir()) - before:
        path.unlink()


def last_line(changed) -> str:
    """Plan, which fails; return the error."""
    done = snakemake(changed.folder, *changed.arguments(*DRY[:3]))
    assert done.returncode == 1, done.stdout
    assert "Traceback" not in done.stdout
    return done.stdout.splitlines()[-1]


@pytest.mark.parametrize("text", [ABLATION, WRITTEN_OUT], ids=["short", "long"])
def test_an_ablation_is_a_file(changed, ablations, text):
    rate = f"lr={0.1 * (1 + (text == WRITTEN_OUT))}"  # none that is there already
    text = text.replace("lr=0.1", rate)
    (ablations / "lr.smk").write_text(text)
    output = changed.plan("ablation_lr", "all")
    counts = {"train": 2, "evaluate": 2, "ablation_lr": 1}
    assert job_counts(output).items() >= counts.items()
    assert methods_trained(output) == {f"sarl+{rate}"}
    done = snakemake(changed.folder, "ablation_lr", *changed.arguments("--cores", "2"))
    assert done.returncode == 0, done.stdout
    table = (changed.folder / "results/ablations/lr.md").read_text()
    spec = json.loads(re.search(r"--spec (\{.*?\}) --published", table).group(1))
    assert spec["title"] == "Rates" and spec["layout"] == "proportions"
    assert [method["name"] for method in spec["methods"]] == ["sarl", f"sarl+{rate}"]
    assert "--published --metrics results/runs" in table


def test_all_makes_the_ablations_that_the_config_names(changed, ablations):
    (ablations / "lr.smk").write_text(ABLATION.replace("lr=0.1", "lr=0.3"))
    assert "Nothing to be done" in changed.plan()
    changed.overlay({"ablations": ["lr"]})
    output = changed.plan()
    assert methods_trained(output) == {"sarl+lr=0.3"}
    counts = {"ablation_lr": 1, "collect": 1, "all": 1}
    assert job_counts(output).items() >= counts.items()
    [collect] = jobs(output, "collect")
    assert "results/runs/mine/sarl+lr=0.3/prop=0.5/seed=0/metrics.json" in (
        collect["input"].split(", ")
    )
    changed.overlay({"ablations": ["pool"]})
    assert last_line(changed).endswith("/workflow/ablations; did you mean pooled?")


def test_an_ablation_may_be_a_figure(changed, ablations):
    text = ABLATION.replace("table_ablation", "figure_ablation")
    text = text.replace("ablation(title", 'ablation(kind="figure", title')
    (ablations / "lr.smk").write_text(text)
    [job] = jobs(changed.plan("ablation_lr"), "ablation_lr")
    assert job["output"] == "results/ablations/lr.pdf, results/ablations/lr.png"


def test_an_ablation_may_have_any_name(changed, ablations):
    names = ("context", "a", "ab", "tables", "train", "shown", "all")
    for name in names:
        text = ABLATION.replace("ablation_lr", f"ablation_{name}")
        (ablations / f"{name}.smk").write_text(text)
    output = changed.plan(*(f"results/ablations/{name}.md" for name in names))
    assert {f"ablation_{name}" for name in names} <= job_counts(output).keys()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("as ablation_lr", "as context"), "has a rule context; name it ablation_lr"),
        (('"""\n\n\nuse', '"""\nDATASETS = 1\n\nuse'), "assigns DATASETS, which the"),
    ],
)
def test_an_ablation_cannot_collide_with_the_workflow(changed, ablations, change, said):
    path = ablations / "lr.smk"
    text = ABLATION.replace(*change)
    assert text != ABLATION
    path.write_text(text)
    error = last_line(changed)
    assert error.startswith(f"Error: {path}: ") and said in error


@pytest.mark.parametrize(
    ("text", "change", "said"),
    [
        (ABLATION, ("method=", "metod="), "ablation lr: metod: unknown key; did you"),
        (ABLATION, ("title=", "layout=1, title="), "ablation lr: layout: 1 is not one"),
        (WRITTEN_OUT, ('"title"', '"titel"'), "ablation lr: titel: unknown key; did"),
        (ABLATION, ("title=", 'titles={"sral": "S"}, title='), "did you mean sarl?"),
    ],
)
def test_a_mistake_in_an_ablation_is_one_line(changed, ablations, text, change, said):
    assert text.replace(*change) != text
    (ablations / "lr.smk").write_text(text.replace(*change))
    error = last_line(changed)
    assert error.startswith("Error: ") and said in error


def test_no_rule_of_the_workflow_is_named_as_an_ablations(repository):
    for path in (repository / "workflow/rules").glob("*.smk"):
        assert not re.search(r"^(use )?rule .*ablation_", path.read_text(), re.M)


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
    target = RUN.format("sarl+gamma_po=1")
    done = snakemake(finished.folder, target, *finished.arguments("--cores", "1"))
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1] == (
        "Error: method sarl+gamma_po=1: unknown option gamma_po; did you mean "
        "gamma_pos?"
    )


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("tabels", "tabels: nothing makes it; did you mean tables?"),
        (RUN.format("sarl").replace("mine", "mien"), "unknown data set mien; did you"),
        (RUN.format("sarl").replace("0.5", "1"), "prop=1.0/seed=0/metrics.json"),
    ],
)
def test_a_wrong_target_is_one_line(finished, target, said):
    done = snakemake(finished.folder, target, *finished.arguments("--cores", "1"))
    assert done.returncode == 1
    error = done.stdout.splitlines()[-1]
    assert error.startswith(f"Error: {target}: ") and said in error
    assert "Traceback" not in done.stdout


def test_rules_say_what_they_are(finished):
    done = snakemake(finished.folder, "--list", *finished.arguments("--cores", "1"))
    said = {line.split()[0] for line in done.stdout.splitlines() if line.strip()}
    assert {"all", "tables", "figures", "ablations", "metrics", "tuning"} <= said


def test_a_run_made_as_a_target_is_in_metrics_csv(changed):
    """From the next run of Snakemake on, where it has the options of the config."""
    name = "mine/coop+epochs=2/prop=1.0/seed=4"
    folder = changed.folder / f"results/runs/{name}"
    folder.mkdir(parents=True)
    options = method_options(changed, "coop+epochs=2")
    (folder / "metrics.json").write_text("metrics")
    (folder / "run.json").write_text(json.dumps({"options": options}))
    try:
        assert job_counts(changed.plan())["collect"] == 1
        changed.run("metrics", "--cores", "2", "--quiet")
        said = (changed.folder / "results/tables/metrics.csv").read_text()
        assert f"results/runs/{name}/metrics.json" in said.split()
        assert job_counts(changed.plan("metrics")) == {}
        (folder / "metrics.json").write_text("other metrics")
        assert job_counts(changed.plan("metrics"))["collect"] == 1
        (folder / "run.json").write_text(json.dumps({"options": {**options, "lr": 1}}))
        changed.run("metrics", "--cores", "2", "--quiet")
        said = (changed.folder / "results/tables/metrics.csv").read_text()
        assert name not in said
    finally:
        shutil.rmtree(folder)


def method_options(changed, method):
    """Return what the small configuration gives a method."""
    overlays = [changed.folder / "small.yaml"]
    loaded = load_config(overlays, base=changed.folder / "config.yaml")
    return plan.method_options(validate(loaded), method)
