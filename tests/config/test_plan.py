"""The plan that is made of a configuration: runs, files and specs."""

import pytest

from mlrpl.config import plan
from mlrpl.config import validation as configuration
from mlrpl.errors import UserError
from support.configs import MINE, Only, merged


def test_runs_are_canonical_and_come_once(paper):
    valid = configuration.validate(paper)
    methods = ["sarl", "sarl+gamma_pos=1", "sarl+optimizer=adamw+loss=p_bce"]
    assert plan.runs(valid, "voc2007", methods, [0.5, 1], 0) == [
        "voc2007/sarl/prop=0.5/seed=0",
        "voc2007/sarl/prop=1.0/seed=0",
        "voc2007/sarl+loss=p_bce+optimizer=adamw/prop=0.5/seed=0",
        "voc2007/sarl+loss=p_bce+optimizer=adamw/prop=1.0/seed=0",
    ]
    everything = plan.runs(valid)
    assert len(everything) == 2 * len(valid["methods"]) * 9 * 3
    with pytest.raises(UserError, match="unknown option gama"):
        plan.runs(valid, method="sarl+gama=1")


def test_systems_are_a_group_with_proportions_and_seeds_of_their_own(paper):
    table = {"proportions": [0.1, 0.2], "seeds": [1, 2]}
    systems = {"methods": ["sst", "coop"], "proportions": [0.9], "seeds": [0]}
    over = {"experiments": {"table2": {**table, "systems": systems}}}
    valid = configuration.validate(merged(paper, over))
    experiment = plan.experiment(valid, "table2")
    found = plan.runs(valid, **{**experiment, "dataset": "voc2007"})
    assert [run for run in found if run.startswith("voc2007/")] == [
        "voc2007/sst/prop=0.9/seed=0",
        "voc2007/coop/prop=0.9/seed=0",
        *(f"voc2007/sarl/prop={p}/seed={s}" for p in (0.1, 0.2) for s in (1, 2)),
    ]
    spec = plan.spec(valid, {"title": "T", "layout": "proportions"}, **experiment)
    assert spec["methods"] == [
        {"name": "sst", "title": "SST", "published": ["SST"], "recipe": "published"},
        {"name": "coop", "title": "CoOp", "published": ["CoOp"]},
        {"name": "sarl", "title": "SARL", "published": ["Ours"]},
    ]
    assert spec["proportions"] == [0.9, 0.1, 0.2] and spec["seeds"] == [0, 1, 2]
    assert [d["name"] for d in spec["datasets"]] == ["coco2014", "voc2007"]


def test_systems_take_the_experiments_proportions_and_seeds(paper):
    over = {"experiments": {"table2": {"systems": Only({"methods": ["sst"]})}}}
    valid = configuration.validate(merged(paper, over))
    runs = plan.runs(valid, **plan.experiment(valid, "table2"))
    assert len(runs) == len(set(runs)) == 2 * 2 * 9 * 3
    off = {"experiments": {"table2": {"systems": None}}}
    valid = configuration.validate(merged(paper, off))
    assert "also" not in plan.experiment(valid, "table2")
    assert len(plan.runs(valid, **plan.experiment(valid, "table2"))) == 2 * 9 * 3


def test_a_run_in_two_groups_comes_once(paper):
    valid = configuration.validate(paper)
    group = {"dataset": "voc2007", "method": "sarl", "prop": 0.5, "seed": 0}
    again = {**group, "method": ["sarl+gamma_pos=1", "coop"]}
    assert plan.runs(valid, **group, also=[again]) == [
        "voc2007/sarl/prop=0.5/seed=0",
        "voc2007/coop/prop=0.5/seed=0",
    ]


def test_spec_of_a_table(paper):
    valid = configuration.validate(merged(paper, {"datasets": {"mine": MINE}}))
    titles = {"sarl+pooled=raw": "raw"}
    contents = {"title": "T", "layout": "proportions", "titles": titles}
    spec = plan.spec(
        valid, contents, method=["sarl+gamma_pos=1", "sarl+pooled=raw"], prop=0.5
    )
    assert spec["title"] == "T" and spec["layout"] == "proportions"
    assert "titles" not in spec
    assert spec["methods"] == [
        {"name": "sarl", "title": "SARL", "published": ["Ours"]},
        {
            "name": "sarl+pooled=raw",
            "title": "raw",
            "published": ["Ours+pooled=raw"],
        },
    ]
    assert spec["published_titles"] == {"Ours": "SARL"}
    assert spec["proportions"] == [0.5] and spec["seeds"] == [0, 1, 2]
    assert [d["name"] for d in spec["datasets"]] == ["coco2014", "voc2007", "mine"]


FIGURE8 = {
    "kind": "curve",
    "title": "Gammas",
    "panels": [
        {"x": "gamma_pos", "fixed": {"gamma_neg": 2}},
        {"x": "gamma_neg", "fixed": {"gamma_pos": 1}},
    ],
}


def test_spec_of_a_figure_puts_methods_into_the_panels_of_their_option(paper):
    valid = configuration.validate(paper)
    experiment = plan.experiment(valid, "figure8")
    spec = plan.spec(valid, FIGURE8, **experiment)
    assert [panel["fixed"] for panel in spec["panels"]] == [
        {"gamma_neg": 2},
        {"gamma_pos": 1},
    ]
    assert [panel["default"] for panel in spec["panels"]] == [1, 2]
    positive, negative = (panel["methods"] for panel in spec["panels"])
    for methods in (positive, negative):
        methods.sort(key=lambda m: m["x"])
        assert [m["x"] for m in methods] == [0, 1, 2, 3, 4]
    assert [m["name"] for m in positive] == [
        "sarl+gamma_pos=0",
        "sarl",
        "sarl+gamma_pos=2",
        "sarl+gamma_pos=3",
        "sarl+gamma_pos=4",
    ]
    assert negative[2] == {
        "name": "sarl",
        "title": "SARL",
        "published": ["Ours+gamma_neg=2", "Ours"],
        "x": 2,
    }


def test_panels_without_a_method_are_left_out(paper):
    valid = configuration.validate(paper)
    spec = plan.spec(valid, FIGURE8, method=["sarl+gamma_pos=0", "sarl+gamma_pos=2"])
    [panel] = spec["panels"]
    assert panel["x"] == "gamma_pos" and [m["x"] for m in panel["methods"]] == [0, 2]
    with pytest.raises(UserError) as raised:
        plan.spec(valid, FIGURE8, method=["sarl+gamma_pos=0+gamma_neg=0"])
    assert str(raised.value) == (
        "Gammas: sarl+gamma_pos=0+gamma_neg=0: none has the options of a panel; "
        "name methods with gamma_neg=2 or gamma_pos=1"
    )


GAIN = {"method": "sarl+loss=p_asl", "baseline": "sarl+loss=p_bce"}
FIGURE7 = {
    "kind": "curve",
    "title": "Losses",
    "titles": {"sarl+loss=p_asl": "P-ASL", "sarl+loss=p_bce": "P-BCE"},
    "gain": {**GAIN, "published": "P-ASL - P-BCE"},
}


@pytest.mark.parametrize(
    ("changes", "methods", "runs"),
    [
        ({}, list(GAIN.values()), ["sarl", "sarl+loss=p_bce"]),
        # by another name of the same run
        ({}, ["sarl", "sarl+loss=p_bce"], ["sarl", "sarl+loss=p_bce"]),
        (
            {"options": {"loss": "p_bce"}},
            list(GAIN.values()),
            ["sarl+loss=p_asl", "sarl"],
        ),
    ],
)
def test_a_figure_names_its_runs_by_what_they_are(paper, changes, methods, runs):
    valid = configuration.validate(merged(paper, changes))
    spec = plan.spec(valid, FIGURE7, method=methods)
    assert [(m["name"], m["title"]) for m in spec["methods"]] == [
        (runs[0], "P-ASL"),
        (runs[1], "P-BCE"),
    ]
    assert [spec["gain"]["method"], spec["gain"]["baseline"]] == runs


def test_a_gain_is_of_runs_that_are_shown(paper):
    valid = configuration.validate(paper)
    assert "gain" not in plan.spec(valid, FIGURE7, method=["coop"])
    other = {**FIGURE7, "gain": {**FIGURE7["gain"], "method": "mine"}}
    assert "gain" not in plan.spec(valid, other, method=[])


def test_the_papers_runs_have_the_names_that_their_results_have(paper):
    valid = configuration.validate(paper)
    runs = {
        name: plan.runs(valid, **plan.experiment(valid, name))
        for name in valid["experiments"]
    }
    systems = ["ssgrl", "gcn_ml", "kggr", "sst", "hst", "sarb", "dsrb"]
    assert {
        name: list(dict.fromkeys(run.split("/")[1] for run in runs[name]))
        for name in runs
    } == {
        "table2": [*systems, "sarl"],
        "table3": [*systems, "sarl"],
        "table4": ["coop", "coop_csp", "coop_sd", "sarl"],
        "figure3": ["sarl"],
        "localisation": ["coop_sd", "sarl", "sarl+visual=semantic_attention"],
        "figure4": ["sarl", "sarl+visual=semantic_attention"],
        "figure5": ["sarl", "coop"],
        "figure6": ["sarl", "coop"],
        "figure9": ["sarl"],
        "figure7": ["sarl", "sarl+loss=p_bce"],
        "figure8": [
            *("sarl+gamma_pos=0", "sarl", "sarl+gamma_pos=2"),
            *("sarl+gamma_pos=3", "sarl+gamma_pos=4"),
            *("sarl+gamma_neg=0", "sarl+gamma_neg=1"),
            *("sarl+gamma_neg=3", "sarl+gamma_neg=4"),
        ],
    }
