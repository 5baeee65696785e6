"""`mlrpl runs`: what has run, and two runs class by class."""

import json
from pathlib import Path

import pytest
import yaml

from mlrpl.__main__ import main
from mlrpl.config import plan
from mlrpl.config.files import load_config
from mlrpl.config.validation import validate
from support.synthetic_metrics import write_run


@pytest.fixture
def config(repository, tmp_path, monkeypatch):
    loaded = load_config([], ["results=r"], base=repository / "config.yaml")
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(loaded))
    monkeypatch.chdir(tmp_path)
    return validate(loaded)


def write(config, method, last, best, aps, prop=0.5, dataset="voc2007"):
    path = write_run(Path("r"), method, prop, 0, last, best, dataset=dataset)
    content = json.loads(path.read_text())
    content["per_class_ap"] = {"last": aps, "best": aps}
    path.write_text(json.dumps(content))
    run = json.loads(path.with_name("run.json").read_text())
    run["options"] = plan.method_options(config, method)
    path.with_name("run.json").write_text(json.dumps(run))
    return path


def test_runs_are_listed(config, capsys):
    write(config, "sarl", 80.04, 81.0, {"cat": 80.0})
    path = write(config, "coop", 70.0, 70.0, {"cat": 70.0}, prop=1.0)
    run = json.loads(path.with_name("run.json").read_text())
    run["options"]["lr"] = 0.5
    path.with_name("run.json").write_text(json.dumps(run))
    assert main(["runs"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "data set  method  known  seed   mAP  best",
        "voc2007   coop    100 %     0  70.0  70.0  other options",
        "voc2007   sarl     50 %     0  80.0  81.0",
    ]


def test_no_run_is_said(config, capsys):
    assert main(["runs"]) == 0
    assert capsys.readouterr().out == "no run has metrics in r/runs\n"


def test_two_runs_are_compared_by_class(config, capsys):
    aps = {"cat": 50.0, "dog": 60.0, "cow": None, "owl": 90.0}
    write(config, "coop", 66.7, 70.0, aps)
    write(config, "sarl", 70.0, 71.0, {**aps, "dog": 71.5, "cat": 48.5})
    first, second = (f"voc2007/{m}/prop=0.5/seed=0" for m in ("coop", "sarl"))
    assert main(["runs", "--compare", first, f"r/runs/{second}/metrics.json"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"A  {first}",
        f"B  r/runs/{second}/metrics.json",
        "",
        "AP, last epoch     A     B  B - A",
        "mAP             66.7  70.0   +3.3",
        "dog             60.0  71.5  +11.5",
        "cat             50.0  48.5   -1.5",
        "owl             90.0  90.0   +0.0",
        "cow                -     -      -",
    ]


def test_mistakes_are_one_line(config, capsys):
    path = write(config, "coop", 66.7, 70.0, {"cat": 1.0})
    write(config, "sarl", 70.0, 71.0, {"dog": 1.0})
    first, second = (f"voc2007/{m}/prop=0.5/seed=0" for m in ("coop", "sarl"))
    assert main(["runs", "--compare", first, "voc2007/x/prop=0.5/seed=0"]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "voc2007/x/prop=0.5/seed=0: there is no r/" in said
    assert main(["runs", "--compare", first, second]) == 1
    assert "have different classes" in capsys.readouterr().err
    path.write_text("{")
    assert main(["runs"]) == 1
    assert f"{path}: is no readable metrics.json" in capsys.readouterr().err
