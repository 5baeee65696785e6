"""Intervals in tables: their numbers, every format, and what is refused."""

import html
import json
import re

import pandas as pd
import pytest

from mlrpl.__main__ import main
from mlrpl.statistics.grids import grids, interval, metric
from mlrpl.statistics.intervals import estimate
from mlrpl.statistics.run_folders import load_runs
from support import score_runs

PROPS = [0.1, 0.5]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Runs of two methods, three seeds and two proportions, and their resamples."""
    folder = tmp_path_factory.mktemp("results")
    for name, strength in (("coop", 0.3), ("sarl", 0.5)):
        for run in score_runs.write(folder, name, strength):
            [found] = load_runs([run], "last", 300, {})
            found.save(run / "resamples_last.h5")
    return folder


def spec(**changes):
    contents = {
        "title": "A table",
        "layout": "proportions",
        "datasets": [{"name": "set", "title": "The Set"}],
        "methods": [{"name": "coop"}, {"name": "sarl", "title": "SARL"}],
        "proportions": PROPS,
        "interval": True,
    }
    return json.dumps({**contents, **changes})


def table(folder, output, text, *, files=None):
    made = sorted(map(str, folder.rglob("resamples_last.h5")))
    metrics = sorted(map(str, folder.rglob("metrics.json")))
    words = ["table", "--spec", text, "--metrics", *metrics]
    words += ["--resamples", *(made if files is None else files)]
    return main([*words, "--output", str(output / "table")])


def test_the_csv_has_the_ends_of_every_number(folder, tmp_path):
    assert table(folder, tmp_path, spec()) == 0
    rows = pd.read_csv(tmp_path / "table.csv").set_index("method")
    runs = grids(load_runs([folder / "runs"], "last", 300, {}))
    for key, props in (("0.1", [0.1]), ("0.5", [0.5]), ("average", PROPS)):
        found = interval(runs["set", "sarl"], metric("mAP"), props)
        row = rows.loc["sarl"]
        assert row[key] == pytest.approx(found.value)
        assert row[f"{key}_low"] == pytest.approx(found.low)
        assert row[f"{key}_high"] == pytest.approx(found.high)
        assert row[f"{key}_interval"] == found.kind == "BCa"
        assert found.low < row[key] < found.high
    # Of the best epoch nothing was resampled.
    assert pd.isna(rows.loc["sarl", "average_best_low"])
    order = list(rows)
    at = order.index("0.1")
    assert order[at : at + 5] == ["0.1", *(f"0.1_{x}" for x in SUFFIXES)]


SUFFIXES = ["sd", "low", "high", "interval"]


def test_readers_see_them_below_the_row(folder, tmp_path):
    assert table(folder, tmp_path, spec(decimals=2)) == 0
    row = pd.read_csv(tmp_path / "table.csv").set_index("method").loc["sarl"]
    shown = f"{row['0.5_low']:.2f}–{row['0.5_high']:.2f}"
    for kind in ("md", "tex", "html"):
        text = html.unescape((tmp_path / f"table.{kind}").read_text())
        lines = text.splitlines()
        [at] = [i for i, line in enumerate(lines) if shown in line]
        assert "SARL" in lines[at - 1] and f"{row['0.5']:.2f}" in lines[at - 1], kind
        assert re.search(r"95 \\?% interval", lines[at])
        notes = " ".join(text.split())
        assert "They are BCa" in notes
        assert "no test over seeds can reach p = 0.05" in notes


def test_averages_of_several_metrics_have_them_too(folder, tmp_path):
    text = spec(layout="averages", metrics=["OF1", "CF1"])
    assert table(folder, tmp_path, text) == 0
    row = pd.read_csv(tmp_path / "table.csv").set_index("method").loc["coop"]
    runs = grids(load_runs([folder / "runs"], "last", 300, {}))
    for name in ("OF1", "CF1"):
        found = interval(runs["set", "coop"], metric(name), PROPS)
        assert row[[name, f"{name}_low"]].tolist() == pytest.approx(
            [found.value, found.low]
        )


def test_seeds_that_a_table_leaves_out_are_left_out_here(folder, tmp_path):
    assert table(folder, tmp_path, spec(seeds=[1])) == 0
    row = pd.read_csv(tmp_path / "table.csv").set_index("method").loc["sarl"]
    [run] = load_runs([folder / "runs/set/sarl/prop=0.5/seed=1"], "last", 300, {})
    found = estimate(run.metrics["mAP"][None], 300, run.images)
    assert [row["0.5_low"], row["0.5_high"]] == pytest.approx([found.low, found.high])
    assert row["0.5_interval"] == "BCa"
    text = (tmp_path / "table.md").read_text()
    assert "Of a single seed they are of the test images alone." in text


def test_without_being_asked_there_are_none(folder, tmp_path):
    assert table(folder, tmp_path, spec(interval=False)) == 0
    assert "_low" not in (tmp_path / "table.csv").read_text()
    assert "interval" not in (tmp_path / "table.md").read_text()


@pytest.mark.parametrize(
    ("changes", "files", "said"),
    [
        ({}, [], "--spec: interval: there are no resamples; give --resamples"),
        ({"metrics": ["mAP_11point"]}, None, "interval: mAP_11point is not resampled"),
        ({"epoch": "best"}, None, "last epoch, but best is shown; make them with"),
        ({}, ["gone.h5"], "gone.h5: is not there; make it with `mlrpl resample`"),
    ],
)
def test_mistakes_are_one_line(folder, tmp_path, capsys, changes, files, said):
    assert table(folder, tmp_path, spec(**changes), files=files) == 1
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1
    assert not list(tmp_path.iterdir())
