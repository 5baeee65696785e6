"""Tokens are extracted where a configured run reads them, and nowhere else."""

import re

import pytest

from mlrpl.config import plan
from mlrpl.config.options import options_schema
from mlrpl.methods.parts import part_class
from support.small_workflow import SMALL, Finished
from support.workflow_tree import job_counts, jobs


@pytest.fixture(scope="module")
def small(repository, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokens") / "small"
    return Finished(repository, folder, run=False)


def planned(small, *methods):
    off = dict.fromkeys([*SMALL["experiments"], "figure7"])
    table2 = {"methods": list(methods), "datasets": ["mine"], "seeds": [0]}
    table2 |= {"proportions": [0.5], "systems": None}
    small.overlay({"experiments": {**off, "table2": table2}})
    return small.plan("results/tables/table2.csv")


@pytest.mark.parametrize(
    ("methods", "features", "tokens"),
    [(["sarl"], 3, 0), (["dualcoop"], 0, 3), (["sarl", "dualcoop"], 3, 3)],
)
def test_each_kind_is_made_for_the_runs_that_read_it(small, methods, features, tokens):
    output = planned(small, *methods)
    counts = job_counts(output)
    assert counts.get("features", 0) == features
    assert counts.get("tokens", 0) == tokens
    for job in jobs(output, "train"):
        read = [p for p in job["input"].split(", ") if "/features/" in p]
        assert len(read) == 2  # the lists of both splits
        own = all("/tokens/" in path for path in read)
        assert own == ("method=dualcoop" in job["wildcards"])


def test_test_images_have_the_first_view_alone(small):
    small.overlay({"encoder": {"views": ["full", "flip"]}})
    output = small.plan("results/tables/table2.csv", "--printshellcmds")
    views = {"train": set(), "test": set()}
    for line in output.splitlines():
        if found := re.search(r"--views (\S+) .*/(train|test)\.h5", line):
            views[found[2]].add(found[1])
    assert views == {"train": {"full,flip"}, "test": {"full"}}


def test_the_schema_names_the_heads_that_read_tokens():
    head = options_schema()["properties"]["head"]
    for name in head["parts"]:
        reads = getattr(part_class("head", name), "reads", None)
        assert (reads == "tokens") == (name in head["tokens"]), name


def test_an_override_that_changes_the_head_changes_what_is_read(repository):
    config = {"options": {}, "methods": {"mine": {}}, "recipes": {}}
    assert plan.features_folder(config, "mine") == ""
    assert plan.features_folder(config, "mine+head=tai_dpt") == "tokens/"
