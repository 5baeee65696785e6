"""The runs that lie in the results, and whether they are what the config says now."""

import json
from pathlib import Path

import pytest

from mlrpl.config import made, plan
from mlrpl.config import validation as configuration

RUN = "voc2007/sarl+gamma_neg=4/prop=0.1/seed=0"


@pytest.fixture
def config(paper, tmp_path):
    return configuration.validate({**paper, "results": str(tmp_path)})


def write(config, name, options=None):
    path = Path(config["results"]) / "runs" / name
    method = name.split("/")[1]
    if options is None:
        options = plan.method_options(config, method)
    path.mkdir(parents=True)
    (path / "metrics.json").write_text(name)
    (path / "run.json").write_text(json.dumps({"options": options}))
    return path


def test_runs_are_found_whoever_asked_for_them(config):
    other = "mine/coop/prop=1.0/seed=3"
    for name in (RUN, other):
        write(config, name)
    (write(config, "mine/coop/prop=0.5/seed=0") / "metrics.json").unlink()
    found = made.made_runs(config)
    assert [(run.name, run.current) for run in found] == [(other, True), (RUN, True)]
    assert found[1].metrics.read_text() == RUN


def test_a_run_of_other_options_is_not_current(config):
    options = plan.method_options(config, "sarl+gamma_neg=4")
    write(config, RUN, {**options, "lr": 0.5})
    write(config, "voc2007/sarl+gamma=4/prop=0.1/seed=0", options)  # no such option
    write(config, "voc2007/sarl+gamma_neg=2/prop=0.1/seed=0", options)  # is `sarl`
    folder = write(config, "voc2007/sarl/prop=0.1/seed=0")
    (folder / "run.json").write_text("no JSON")
    assert [run.current for run in made.made_runs(config)] == [False] * 4


def test_the_hash_is_of_the_contents(tmp_path):
    one, two = tmp_path / "1", tmp_path / "2"
    one.write_text("a")
    two.write_text("b")
    before = made.contents_hash([str(one), str(two)])
    assert made.contents_hash([str(one), str(two)]) == before
    two.write_text("c")
    assert made.contents_hash([str(one), str(two)]) != before
