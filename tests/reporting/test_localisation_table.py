"""The table of localisation: means over seeds, chance, and what was not run."""

import csv
import json

import pytest

from mlrpl.__main__ import main

SPEC = {
    "title": "Where attention is",
    "layout": "proportions",
    "datasets": [{"name": "a", "title": "Set A"}, {"name": "b", "title": "Set B"}],
    "methods": [{"name": "sarl", "title": "SARL"}, {"name": "coop_sd"}],
    "proportions": [0.1, 0.5],
}


def write(folder, dataset, method, prop, seed, pointing):
    measures = {"pointing": pointing, "centre": pointing / 2, "inside": pointing / 4}
    chance = {"pointing": 30.0, "centre": 20.0, "inside": 10.0}
    path = folder / f"{dataset}{method}{prop}{seed}.json"
    setting = {"dataset": dataset, "method": method, "prop": prop, "seed": seed}
    content = {**setting, "labels": 9, "attention": measures, "chance": chance}
    path.write_text(json.dumps(content))
    return str(path)


def table(tmp_path, runs) -> int:
    words = ["localisation", "--spec", json.dumps(SPEC), "--runs", *runs]
    return main([*words, "--output", str(tmp_path / "out")])


def test_rows_are_methods_and_chance(tmp_path):
    runs = [write(tmp_path, "a", "sarl", 0.1, s, 60 + 4 * s) for s in (0, 1)]
    runs += [write(tmp_path, "a", "sarl", 0.5, 0, 80.0)]
    runs += [write(tmp_path, "b", "coop_sd", 0.1, 0, 40.0)]
    assert table(tmp_path, runs) == 0
    with (tmp_path / "out.csv").open() as file:
        rows = {
            tuple(row[key] for key in ("dataset", "metric", "method")): row
            for row in csv.DictReader(file)
        }
    metrics = ["Peak in a box", "Its middle in a box", "Attention in boxes"]
    methods = ["sarl", "coop_sd", "chance"]
    assert list(rows) == [(d, m, n) for d in "ab" for m in metrics for n in methods]
    pointing, centre, inside = (rows["a", metric, "sarl"] for metric in metrics)
    assert float(pointing["0.1"]) == 62
    assert float(pointing["0.1_sd"]) == pytest.approx(8**0.5)
    assert float(inside["0.1"]) == 15.5 and float(centre["0.5"]) == 40
    assert rows["a", metrics[0], "coop_sd"]["0.1"] == ""
    assert float(rows["a", metrics[1], "chance"]["0.5"]) == 20
    assert float(rows["b", metrics[2], "chance"]["0.1"]) == 10
    assert rows["b", metrics[2], "chance"]["0.5"] == ""
    text = (tmp_path / "out.md").read_text()
    for word in ("Set A", "SARL", "Chance", "**62.0** ± 2.8"):
        assert word in text
    for suffix in ("md", "tex", "html"):
        assert "Peak in a box" in (tmp_path / f"out.{suffix}").read_text()


def test_a_file_that_is_something_else_is_one_line(tmp_path, capsys):
    path = tmp_path / "metrics.json"
    path.write_text('{"dataset": "a"}')
    assert table(tmp_path, [str(path)]) == 1
    assert "is not what `mlrpl localise` writes" in capsys.readouterr().err
