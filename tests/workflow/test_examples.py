"""Figures of test images and localisation, as Snakemake plans them."""

import json

import pytest
import yaml

from support.small_workflow import SMALL, Finished
from support.workflow_tree import job_counts, jobs, snakemake

pytestmark = pytest.mark.workflow

PICTURES = {
    "figure3": {"pictures": {"count": 2, "names": {"mine": ["a.jpg"]}}},
    "figure5": {},
    "figure6": {},
    "figure9": {"datasets": ["mine"], "proportions": [0.5]},
    "localisation": {"methods": ["sarl"], "proportions": [0.5]},
}
NAMES = ["figure3", "figure5", "figure6", "figure9", "localisation"]


def overlay(changes: dict | None = None) -> dict:
    shown = {name: {**PICTURES[name], "seeds": [0]} for name in NAMES}
    for name in ("figure3", "figure5", "figure6"):
        shown[name]["proportions"] = [0.5]
    return {"experiments": {**SMALL["experiments"], **shown, **(changes or {})}}


@pytest.fixture(scope="module")
def run(repository, tmp_path_factory) -> Finished:
    """A small workflow with these figures, done by a stand-in."""
    made = Finished(repository, tmp_path_factory.mktemp("examples") / "a folder", False)
    made.overlay(overlay())
    made.run("--cores", "2", "--quiet")
    return made


def test_everything_is_made_and_then_nothing_is_left(run):
    results = run.folder / "results"
    for name in NAMES[:-1]:
        assert (results / f"figures/{name}.png").is_file()
    assert (results / "tables/localisation.html").is_file()
    assert job_counts(run.plan()) == {}


def test_a_data_set_without_boxes_has_no_localisation(run):
    """`mine` is a CSV: only VOC has the boxes."""
    runs = (run.folder / "results/runs").glob("*/*/*/*/localisation.json")
    assert {path.parents[3].name for path in runs} == {"voc2007"}
    assert not (run.folder / "results/data/mine/boxes.h5").exists()
    words = (run.folder / "results/tables/localisation.csv").read_text()
    assert "mine" not in words


def test_examples_get_the_choice_and_maps_where_they_are_shown(run):
    folder = run.folder / "results/examples"
    text = (folder / "figure3/mine.h5").read_text()
    assert text.startswith("examples attention --runs results/runs/mine/sarl/")
    choice = json.loads(text.split("--choice ")[1].split(" --output")[0])
    assert choice == {"count": 2, "labels": 3, "seed": 0, "names": {"mine": ["a.jpg"]}}
    assert "--features results/features/mine/test/0.h5" in text
    text = (folder / "figure6/mine.h5").read_text()
    assert "/sarl/" in text and "/coop/" in text
    assert not (folder / "figure9/voc2007.h5").exists()


def test_another_choice_draws_one_figure_anew(run):
    experiments = overlay()["experiments"]
    experiments["figure6"] = {**experiments["figure6"], "pictures": {"seed": 1}}
    run.overlay({"experiments": experiments})
    plan = run.plan()
    run.overlay(overlay())
    again = {"examples": 2, "figure6": 1, "overview": 1, "all": 1}
    assert job_counts(plan) == again
    for job in jobs(plan, "examples"):
        assert "figure=figure6" in job["wildcards"]


@pytest.mark.parametrize(
    ("name", "entry", "match"),
    [
        (
            "localisation",
            {"methods": ["sarl"], "datasets": ["mine"]},
            "experiments.localisation.datasets: mine has no boxes",
        ),
        (
            "figure3",
            {"methods": ["sarl"], "pictures": {"names": {"none": ["a"]}}},
            "experiments.figure3.pictures.names: none is not a data set",
        ),
        (
            "figure9",
            {"methods": ["sarl"], "pictures": {"count": 0}},
            "experiments.figure9.pictures.count: 0 is not allowed",
        ),
    ],
)
def test_a_mistake_is_one_line(run, name, entry, match):
    text = yaml.safe_dump({**SMALL, **overlay({name: entry})})
    run.write("wrong.yaml", text)
    done = snakemake(run.folder, "-n", "--cores", "1", "--configfile", "wrong.yaml")
    assert done.returncode == 1
    assert f"Error: config key {match}" in done.stdout
    assert "Traceback" not in done.stdout
