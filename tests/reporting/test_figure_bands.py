"""Intervals in figures: bands along lines, bars at single points."""

import json

import numpy as np
import pytest
from matplotlib.collections import FillBetweenPolyCollection, LineCollection

from mlrpl.__main__ import main
from mlrpl.reporting import figure_drawing, figures, published, results
from mlrpl.reporting.specs import load_spec
from mlrpl.statistics.grids import grids, interval, metric
from mlrpl.statistics.run_folders import load_runs
from support import score_runs

PROPS = [0.1, 0.5]
METHODS = ["sarl", "sarl+period=false"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    for name, strength in zip(METHODS, (0.3, 0.5), strict=True):
        for run in score_runs.write(folder, name, strength):
            [found] = load_runs([run], "last", 100, {})
            found.save(run / "resamples_last.h5")
    return folder


def contents(**changes):
    found = {
        "kind": "curve",
        "title": "A figure",
        "datasets": [{"name": "set", "title": "The Set"}],
        "methods": [{"name": name} for name in METHODS],
        "proportions": PROPS,
        "interval": True,
    }
    return {**found, **changes}


def panel(folder, **changes):
    spec = load_spec(json.dumps(contents(**changes)), "figure")
    runs = results.load_metrics(sorted(folder.rglob("metrics.json")))
    resamples = load_runs([folder / "runs"], "last", 100, {})
    [[found]] = figures.build(spec, runs, published.empty(), resamples)
    return found


def ends(folder, method, prop):
    runs = grids(load_runs([folder / "runs"], "last", 100, {}))
    found = interval(runs["set", method], metric("mAP"), [prop])
    return found.low, found.high


def test_a_line_has_a_band_of_its_intervals(folder):
    found = panel(folder)
    for series, method in zip(found.series, METHODS, strict=True):
        for i, prop in enumerate(PROPS):
            assert (series.low[i], series.high[i]) == ends(folder, method, prop)
        assert (series.low < series.mean).all() and (series.mean < series.high).all()
    figure = figure_drawing.draw([[found]])
    [axes] = figure.axes
    bands = [c for c in axes.collections if isinstance(c, FillBetweenPolyCollection)]
    assert len(bands) == 2
    corners = bands[0].get_paths()[0].vertices[:, 1]
    low, high = found.series[0].low, found.series[0].high
    assert {*low, *high} <= set(corners)
    said = figure.legends[0].get_title().get_text()
    assert "Bands: intervals of 95 % (test images and seeds)" in said


def test_points_that_are_not_joined_have_bars(folder):
    found = panel(
        folder,
        x="period",
        methods=[
            {"name": METHODS[0], "x": "true"},
            {"name": METHODS[1], "x": "false"},
        ],
    )
    assert found.names
    figure = figure_drawing.draw([[found]])
    [axes] = figure.axes
    bars = [
        c
        for c in axes.collections
        if isinstance(c, LineCollection) and c.get_alpha() == 0.25
    ]
    assert len(bars) == len(PROPS)
    ys = np.concatenate([segment[:, 1] for segment in bars[1].get_segments()])
    assert {*ends(folder, METHODS[0], 0.5), *ends(folder, METHODS[1], 0.5)} == set(ys)


def test_what_was_not_resampled_has_none(folder, tmp_path):
    """A method without resamples has no band, and the others have theirs."""
    spec = load_spec(json.dumps(contents()), "figure")
    runs = results.load_metrics(sorted(folder.rglob("metrics.json")))
    some = load_runs([folder / f"runs/set/{METHODS[0]}"], "last", 100, {})
    [[found]] = figures.build(spec, runs, published.empty(), some)
    assert np.isfinite(found.series[0].low).all()
    assert np.isnan(found.series[1].low).all()
    figure_drawing.write(figure_drawing.draw([[found]]), tmp_path / "f", "A figure")


def test_the_command_takes_the_files(folder, tmp_path, capsys):
    metrics = sorted(map(str, folder.rglob("metrics.json")))
    files = sorted(map(str, folder.rglob("resamples_last.h5")))
    words = ["figure", "--metrics", *metrics, "--output", str(tmp_path / "f")]
    words += ["--spec", json.dumps(contents())]
    assert main([*words, "--resamples", *files]) == 0
    banded = (tmp_path / "f.png").read_bytes()
    assert main([*words[:-1], json.dumps(contents(interval=False))]) == 0
    assert (tmp_path / "f.png").read_bytes() != banded
    assert main(words) == 1
    assert "interval: there are no resamples" in capsys.readouterr().err
