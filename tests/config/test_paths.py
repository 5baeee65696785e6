"""Paths of the configuration: what they may have, and what is one line instead."""

from pathlib import Path

import pytest

from mlrpl.config import paths
from mlrpl.config import validation as configuration
from mlrpl.errors import UserError
from support.configs import MINE, merged

TEMPTING = 'it\'s "a" [b] (c) & d; $(touch pwned) `touch pwned` *?#~!|\\ é'


def test_any_printable_path_is_taken(paper):
    over = {"results": TEMPTING, "logs": TEMPTING, "data_dir": TEMPTING}
    over["datasets"] = {"mine": {**MINE, "root": f"/x/{TEMPTING}"}}
    found = configuration.validate(merged(paper, over))
    assert found["results"] == TEMPTING
    assert found["datasets"]["mine"]["root"] == f"/x/{TEMPTING}"


REFUSED = {
    "results": ({"results": "a{b}"}, "results: 'a{b}' has '{'"),
    "logs": ({"logs": "a<b>"}, "logs: 'a<b>' has '<'"),
    "data": ({"data_dir": "a\nb"}, "data_dir: 'a\\nb' has '\\n'"),
    "root": ({"glove": {"root": "/g}"}}, "glove.root: '/g}' has '}'"),
    "encoder": ({"encoder": {"pretrained": "{a}.pt"}}, "encoder.pretrained"),
    "variable": ({"results": "$BRACES/x"}, "results: '{a}/x' has '{'"),
    "file": (
        {"datasets": {"mine": merged(MINE, {"splits": {"test": {"labels": "{l}"}}})}},
        "datasets.mine.splits.test.labels: '{l}' has '{'",
    ),
    "option": ({"logs": "-l"}, "logs: -l begins like an option"),
    "empty": ({"results": " "}, "results: is empty"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_other_paths_are_refused_by_key(paper, monkeypatch, name):
    monkeypatch.setenv("BRACES", "{a}")
    over, expected = REFUSED[name]
    with pytest.raises(UserError, match=r"^config key ") as error:
        configuration.validate(merged(paper, over))
    assert expected in str(error.value)


def test_a_folder_of_the_workflow_that_snakemake_cannot_use_is_one_line(
    paper, monkeypatch
):
    monkeypatch.setattr(paths, "PROJECT", Path("/home/a{b}"))
    with pytest.raises(UserError, match=r"^/home/a\{b\}: the folder of the workflow"):
        configuration.validate(paper)
