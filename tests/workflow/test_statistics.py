"""Intervals and comparisons as the workflow makes them, when it is asked to."""

import json

import pytest
import yaml

from mlrpl.config.validation import validate
from mlrpl.errors import UserError
from support.small_workflow import SMALL
from support.workflow_tree import job_counts, jobs, snakemake

pytestmark = pytest.mark.workflow

TABLES = SMALL["experiments"]


def experiments(**changes) -> dict:
    """The small workflow's, with keys of some changed."""
    changed = {name: {**TABLES[name], **keys} for name, keys in changes.items()}
    return {"experiments": {**TABLES, **changed}}


def test_an_experiments_intervals_resample_its_runs_alone(changed):
    """Nothing is resampled before that; then what a table and a figure show."""
    table = (changed.folder / "results/tables/table4.md").read_text()
    assert "--resamples" not in table and "interval" not in table
    changed.overlay(experiments(table4={"interval": True}, figure8={"interval": True}))
    output = changed.plan()
    counts = job_counts(output)
    # Two data sets and four methods; Figure 8 has one method more, on one of them.
    made = dict.fromkeys(["all", "overview", "table4", "figure8"], 1)
    assert counts == {**made, "resample": 2 * 4 + 1}
    [table] = jobs(output, "table4")
    assert table["input"].count("/seed=0/resamples_last.h5") == 8
    assert table["input"].count("/seed=0/metrics.json") == 8


def test_an_ablation_can_have_them(changed):
    text = '''"""A rate."""


use rule table_ablation as ablation_lr with:
    input:
        **ablation(method=["sarl", "sarl+lr=0.7"], seed=0, interval=True, epoch="best"),
'''
    changed.write("workflow/ablations/lr.smk", text)
    try:
        output = changed.plan("ablation_lr")
        counts = job_counts(output)
        assert counts["resample"] == 4 and counts["train"] == 2
        [job] = jobs(output, "ablation_lr")
        assert "seed=0/resamples_best.h5" in job["input"]
    finally:
        (changed.folder / "workflow/ablations/lr.smk").unlink()


def test_comparisons_are_of_the_experiments_that_name_a_method(changed):
    """Figure 8 names none; Table 2 has one method here, so nothing to compare."""
    changed.run("comparisons", "--cores", "2", "--quiet")
    folder = changed.folder / "results/comparisons"
    names = {path.name for path in folder.iterdir()}
    endings = (".csv", ".md", ".json", "_classes.csv")
    assert names == {
        f"{name}{end}" for name in ("table4", "figure7") for end in endings
    }
    said = (folder / "table4.json").read_text()
    words = said.split()
    assert words[0] == "compare" and words[words.index("--against") + 1] == "coop"
    assert words[words.index("--metric") + 1] == "mAP"
    assert said.count("/seed=0/resamples_last.h5") == 8
    titles, _ = json.JSONDecoder().raw_decode(said.split("--titles ")[1])
    assert titles["coop_csp"] == "CoOp w/csp" and titles["voc2007"] == "Pascal VOC"
    # An edit of the statistics makes these anew, and nothing else.
    changed.edit("workflow/mlrpl/statistics/intervals.py")
    output = changed.plan("comparisons", "all")
    counts = job_counts(output)
    assert counts["comparison"] == 2 and not {"resample", "train"} & set(counts)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"against": "sarll"},
            "config key experiments.table4.against: method sarll: unknown method sarll",
        ),
        ({"against": ["coop"]}, "config key experiments.table4.against: "),
        ({"interval": 0.95}, "config key experiments.table4.interval: 0.95 is not all"),
    ],
)
def test_mistakes_are_one_line(repository, change, said):
    config = yaml.safe_load((repository / "config.yaml").read_text())
    config["experiments"]["table4"] |= change
    with pytest.raises(UserError) as error:
        validate(config)
    assert said in str(error.value)


def test_without_a_method_to_compare_with_the_target_says_so(changed):
    off = dict.fromkeys(("table2", "table3", "table4", "figure7"))
    changed.overlay({"experiments": {**TABLES, **off}})
    words = changed.arguments("-n", "--cores", "1")
    done = snakemake(changed.folder, "comparisons", *words)
    assert done.returncode == 1
    assert "experiments: none has `against`; name a method there" in done.stdout
