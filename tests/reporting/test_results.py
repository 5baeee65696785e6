"""Collected metrics: every number once, sorted; damaged files are named."""

import csv

import pytest

from mlrpl.__main__ import main
from mlrpl.errors import UserError
from mlrpl.evaluation.metrics import METRICS
from mlrpl.reporting import results
from support.synthetic_metrics import write_run


@pytest.fixture
def some_runs(tmp_path):
    """Four settings, given out of order."""
    return [
        write_run(tmp_path, "sarl", 0.5, 1, 70.125, 71.0),
        write_run(tmp_path, "coop", 0.5, 0, 60.0),
        write_run(tmp_path, "sarl", 0.1, 0, 50.0),
        write_run(tmp_path, "sarl", 0.5, 0, {"mAP": 0.1 + 0.2, "OF1": 33.0}),
    ]


def test_collect_writes_every_number_once_sorted(some_runs, tmp_path):
    output, per_class = tmp_path / "metrics.csv", tmp_path / "per_class_ap.csv"
    arguments = [
        *("collect", *map(str, some_runs), "--output", str(output)),
        *("--per-class", str(per_class)),
    ]
    assert main(arguments) == 0
    first = output.read_bytes(), per_class.read_bytes()
    with output.open(newline="") as file:
        rows = list(csv.DictReader(file))
    keys = ["dataset", "method", "prop", "seed", "epoch", "epoch_number"]
    assert list(rows[0]) == keys + list(METRICS)
    assert [[row[key] for key in keys[1:]] for row in rows] == [
        ["coop", "0.5", "0", "best", "13"],
        ["coop", "0.5", "0", "last", "20"],
        ["sarl", "0.1", "0", "best", "13"],
        ["sarl", "0.1", "0", "last", "20"],
        ["sarl", "0.5", "0", "best", "13"],
        ["sarl", "0.5", "0", "last", "20"],
        ["sarl", "0.5", "1", "best", "13"],
        ["sarl", "0.5", "1", "last", "20"],
    ]
    assert float(rows[5]["mAP"]) == 0.1 + 0.2  # not rounded
    assert float(rows[5]["OF1"]) == 33
    assert float(rows[6]["mAP"]) == 71
    with per_class.open(newline="") as file:
        classes = list(csv.reader(file))
    assert classes[0] == ["dataset", "method", "prop", "seed", "epoch", "class", "ap"]
    assert classes[1:3] == [
        ["coco2014", "coop", "0.5", "0", "best", "zebra", "80.5"],
        ["coco2014", "coop", "0.5", "0", "best", "apple", ""],
    ]
    assert len(classes) == 1 + 4 * 2 * 2
    # the order of the files changes nothing
    arguments[1:5] = arguments[4:0:-1]
    assert main(arguments) == 0
    assert (output.read_bytes(), per_class.read_bytes()) == first


def test_a_setting_that_comes_twice_is_refused(some_runs, tmp_path):
    again = tmp_path / "again.json"
    again.write_text(some_runs[0].read_text())
    with pytest.raises(UserError, match=r"again\.json: is the same .*seed=1"):
        results.load_metrics([*some_runs, again])


def test_damaged_metrics_are_named(tmp_path, capsys):
    path = tmp_path / "metrics.json"
    output = str(tmp_path / "out.csv")
    for content, message in (
        ("{", "metrics.json: is not valid JSON"),
        ("[]", "metrics.json: is not a JSON object"),
        ('{"dataset": "a"}', "metrics.json: has no method"),
    ):
        path.write_text(content)
        assert main(["collect", str(path), "--output", output]) == 1
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1
    assert main(["collect", str(tmp_path / "none.json"), "--output", output]) == 1
    assert "none.json: No such file" in capsys.readouterr().err
