"""Ablations as text: names of files and rules, keys, runs."""

import re

import pytest

from mlrpl.config import ablations, plan
from mlrpl.config import validation as configuration
from mlrpl.config.files import load_config
from mlrpl.errors import UserError

SHORT = """\
\"""Two rates.

Their caption.
\"""


use rule table_ablation as ablation_lr with:
    input:
        **ablation(title="R", method=["sarl", "sarl+lr=0.1"], prop=[0.1, 1], seed=0),
"""
LONG = """\
RATES = [f"sarl+lr={rate}" for rate in (0.1, 0.2)]
RUNS = {"dataset": "voc2007", "method": RATES, "prop": 0.5, "seed": [0, 1]}


use rule table as ablation_lr with:
    input:
        **shown(["table2"], **RUNS, also=[{**RUNS, "method": "coop"}]),
    output:
        **table_files("<results>/ablations/lr", category="Ablations"),
"""


@pytest.fixture
def valid(paper):
    return configuration.validate(paper)


@pytest.fixture
def file(tmp_path):
    def write(text, name="lr.smk"):
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return write


def test_runs_are_read_without_snakemake(valid, file):
    assert ablations.runs(valid, file(SHORT)) == [
        f"{dataset}/{method}/prop={prop}/seed=0"
        for dataset in ("coco2014", "voc2007")
        for method in ("sarl", "sarl+lr=0.1")
        for prop in ("0.1", "1.0")
    ]
    assert ablations.runs(valid, file(LONG)) == [
        f"voc2007/{method}/prop=0.5/seed={seed}"
        for method in ("sarl+lr=0.1", "sarl+lr=0.2", "coop")
        for seed in (0, 1)
    ]


def test_runs_that_only_snakemake_knows_are_one_line(valid, file):
    with pytest.raises(UserError, match="`snakemake -n ablation_lr` counts them"):
        ablations.runs(valid, file(SHORT.replace("seed=0", "seed=SEED")))


def test_the_projects_own_ablations_are_counted(valid):
    counts = {
        name: len(ablations.runs(valid, ablations.FOLDER / f"{name}.smk"))
        for name in ablations.names()
    }
    # data sets x methods x proportions, by hand
    assert counts == {
        "choices": 2 * 23 * 3 * 3,
        "pooled": 2 * 3 * 3,
        "rivals": 2 * 27 * 9,
        "transfer": 2 * 5 * 5,
    }


@pytest.mark.parametrize(
    "other", ["profiles/demo/config.yaml", "examples/own_data/config.yaml"]
)
def test_they_are_runs_beside_other_options_too(repository, other):
    """One that nobody asks for must not keep a configuration from being planned."""
    base = repository / "config.yaml"
    config = configuration.validate(load_config([repository / other], base=base))
    for name in ablations.names():
        assert ablations.runs(config, ablations.FOLDER / f"{name}.smk"), name


def test_the_caption_is_the_docstring(file):
    assert ablations.caption(file(SHORT)) == "Two rates.\n\nTheir caption."
    assert ablations.caption(file(LONG)) == ""


@pytest.mark.parametrize(
    ("change", "name", "said"),
    [
        (
            ("as ablation_lr", "as context"),
            "lr.smk",
            "rule context; name it ablation_lr",
        ),
        (("as ablation_lr", "as ablation_"), "lr.smk", "rule ablation_; name it"),
        (("as ablation_lr", "as ablation_lrs"), "lr.smk", "rule ablation_lrs; name it"),
        (("use rule", "X = "), "lr.smk", "has no rule ablation_lr; name"),
        (("as ablation_lr", "as ablation_lr_b"), "lr.smk", "which b.smk has, too"),
        ((" ", " "), "my-lr.smk", "name the file with letters, digits and _ alone"),
        ((" ", " "), "lr 2.smk", "name the file with letters, digits and _ alone"),
    ],
)
def test_rules_are_named_after_their_file(file, change, name, said):
    path = file(SHORT.replace(*change), name)
    with pytest.raises(UserError) as error:
        ablations.check_file(path, {"ablation_lr_b": "b.smk"})
    assert str(error.value).startswith(f"{path}: ") and said in str(error.value)


@pytest.mark.parametrize("name", ["a", "ab", "context", "table_ablation", "all"])
def test_any_name_will_do(file, name):
    path = file(SHORT.replace("_lr", f"_{name}"), f"{name}.smk")
    assert ablations.check_file(path, {}) == [f"ablation_{name}"]


def test_a_file_may_have_more_rules(file):
    more = "\n\nrule ablation_lr_plot:\n    shell: 'true'\n"
    found = ablations.check_file(file(SHORT + more), {"ablation_l": "l.smk"})
    assert found == ["ablation_lr", "ablation_lr_plot"]


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("metod", "metod: unknown key; did you mean method?"),
        ("titel", "titel: unknown key; did you mean title"),
        ("xyz", "xyz: unknown key; the keys are dataset, method, prop, seed, also"),
        ("methods", "methods: follows from the runs; write method"),
        ("proportions", "proportions: follows from the runs; write prop"),
    ],
)
def test_an_unknown_key_is_named(key, said):
    with pytest.raises(UserError, match=re.escape(f"ablation lr: {said}")):
        ablations.divided("lr", {"title": "T", key: 1}, "table")


def test_keys_are_divided_into_runs_and_contents():
    given = {"title": "T", "method": "sarl", "prop": 0.5, "columns": ["seconds"]}
    assert ablations.divided("lr", given, "table") == (
        {"method": "sarl", "prop": 0.5},
        {"layout": "proportions", "title": "T", "columns": ["seconds"]},
    )


def test_the_config_chooses_files_that_are_there(valid, paper):
    assert valid["ablations"] == [] and ablations.chosen(valid) == []
    chosen = configuration.validate({**paper, "ablations": ["transfer"]})
    assert ablations.chosen(chosen) == ["transfer"]
    wrong = configuration.validate({**paper, "ablations": ["transfers"]})
    with pytest.raises(UserError, match=r"transfers: no such file .* mean transfer"):
        ablations.chosen(wrong)


def test_a_title_of_no_method_is_named(valid):
    contents = {"title": "T", "layout": "proportions", "titles": {"sarl+lx=1": "S"}}
    with pytest.raises(UserError, match=r"T: titles: .* unknown option lx"):
        plan.spec(valid, contents, method="sarl")
