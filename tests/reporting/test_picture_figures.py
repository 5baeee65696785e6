"""Figures of test images and of each class's AP: what is drawn, and where."""

import copy
import io
import itertools
import json

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure, SubFigure
from PIL import Image

from mlrpl.__main__ import main
from mlrpl.prediction.examples import Example, Examples
from mlrpl.reporting import class_figure, figure_drawing, picture_figures

RUNS = [{"method": m, "prop": 0.1, "seed": 0} for m in ("sarl", "coop")]
SPEC = {
    "title": "Pictures",
    "datasets": [{"name": "b", "title": "Set B"}, {"name": "a", "title": "Set A"}],
    "methods": [{"name": "sarl", "title": "SARL"}, {"name": "coop", "title": "CoOp"}],
}


def jpeg(number: int, size=(60, 40)) -> bytes:
    random = np.random.default_rng(number)
    file = io.BytesIO()
    pixels = random.integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(file, "JPEG")
    return file.getvalue()


def example(number: int, run: int, count: int, **changes) -> Example:
    names = ("cat", "dog", "traffic light", "cow", "hat")[:count]
    values = {
        "name": f"{number}.jpg",
        "run": run,
        "present": ("dog",),
        "unknown": ("cow",),
        "shown": names,
        "probabilities": tuple(0.9 - 0.1 * c for c in range(count)),
        "maps": np.ones((count, 3, 3), np.float32),
        "picture": jpeg(number, (40, 60) if number % 2 else (60, 40)),
    }
    return Example(**{**values, **changes})


def examples(kind: str, dataset: str, images: int, runs: int = 1) -> Examples:
    shown = {"attention": 3, "scores": 5, "failures": 1}[kind]
    rows = [example(i, run, shown) for i in range(images) for run in range(runs)]
    return Examples(kind, dataset, RUNS[:runs], rows)


def texts(figure: Figure) -> list[str]:
    found = [text.get_text() for text in figure.findobj(match=_is_text)]
    return [text for text in found if text]


def _is_text(artist) -> bool:
    return hasattr(artist, "get_text") and hasattr(artist, "get_fontsize")


def draw(*parts: Examples) -> Figure:
    return picture_figures.draw(SPEC, parts)


def test_maps_stand_beside_their_picture_with_class_probability_and_mark():
    figure = draw(examples("attention", "a", 3))
    assert len([a for a in figure.findobj() if type(a).__name__ == "AxesImage"]) == 12
    said = texts(figure)
    assert "Set A: SARL, 10 % known labels" in said
    for text in ("cat 0.90 ✗", "dog 0.80 ✓", "traffic light 0.70 ✗"):
        assert said.count(text) == 3


def test_right_wrong_and_unknown_are_told_apart_without_colour():
    figure = draw(examples("scores", "a", 1, runs=2))
    said = texts(figure)
    for text in ("✗ cat", "✓ dog", "? cow"):
        assert said.count(text) == 2, text
    assert {"SARL", "CoOp", "Set A: 10 % known labels"} <= set(said)
    bars = [p for p in figure.findobj() if type(p).__name__ == "Rectangle"]
    hatched = {round(bar.get_width(), 2) for bar in bars if bar.get_hatch()}
    assert hatched == {0.9, 0.7, 0.5}, "those of the classes that are not there"


def test_failures_say_what_was_said_and_what_is_there():
    wrong = example(0, 0, 1)
    missed = example(1, 0, 1, shown=("dog",), probabilities=(0.04,))
    part = Examples("failures", "a", RUNS[:1], [missed, wrong])
    said = texts(draw(part))
    assert "cat 0.90 ✗ not labelled" in said and "dog 0.04 ✗ missed" in said
    assert said.index("cat 0.90 ✗ not labelled") < said.index("dog 0.04 ✗ missed")
    assert said.count("labels: dog") == 2


@pytest.mark.parametrize("kind", ["attention", "scores", "failures", "classes"])
def test_signs_of_a_formula_are_drawn_as_they_are(tmp_path, kind):
    text = r"a $x_{$ \frac"
    spec = copy.deepcopy({**SPEC, "epoch": "last", "proportions": [0.1]})
    for entry in (*spec["datasets"], *spec["methods"]):
        entry["title"] = text
    if kind == "classes":
        found = per_class({"coop": [10, 50], "sarl": [30, 40]}, [text, "y"])
        figure = class_figure.draw(class_figure.build(spec, found))
    else:
        count = {"attention": 3, "scores": 5, "failures": 1}[kind]
        row = example(0, 0, count, present=(text,), shown=(text,) * count)
        part = Examples(kind, "a", RUNS[:1], [row])
        figure = picture_figures.draw(spec, [part])
    figure_drawing.write(figure, tmp_path / "f", text)
    assert any(text in said for said in texts(figure))


@pytest.mark.parametrize("kind", ["attention", "scores", "failures"])
def test_a_long_title_is_no_wider_than_the_figure(kind):
    spec = copy.deepcopy(SPEC)
    spec["datasets"][1]["title"] = "Photographs of a whole year $ " * 9
    figure = picture_figures.draw(spec, [examples(kind, "a", 1)])
    figure.dpi = 200
    figure.draw_without_rendering()
    [place] = figure.findobj(SubFigure)
    box = place._suptitle.get_window_extent()
    assert box.x0 >= 0 and box.x1 <= figure.bbox.x1


def test_data_sets_stand_in_the_order_of_the_spec():
    figure = draw(examples("attention", "a", 1), examples("attention", "b", 1))
    titles = [text for text in texts(figure) if text.startswith("Set")]
    assert [title[:5] for title in titles] == ["Set B", "Set A"]


@pytest.mark.parametrize("kind", ["attention", "scores", "failures"])
@pytest.mark.parametrize("runs", [1, 2])
def test_no_text_runs_over_another_or_out_of_the_figure(kind, runs):
    figure = draw(examples(kind, "a", 3, runs))
    figure.set_dpi(100)
    figure.canvas.draw()
    whole = figure.bbox
    boxes = [
        (text.get_text(), text.get_window_extent())
        for text in figure.findobj(match=_is_text)
        if text.get_text().strip() and text.get_visible()
    ]
    for said, box in boxes:
        assert box.x0 >= -1 and box.x1 <= whole.x1 + 1, said
        assert box.y0 >= -1 and box.y1 <= whole.y1 + 1, said
    for i, (said, box) in enumerate(boxes):
        for other, that in boxes[i + 1 :]:
            wide = min(box.x1, that.x1) - max(box.x0, that.x0)
            high = min(box.y1, that.y1) - max(box.y0, that.y0)
            assert wide < 1 or high < 1.5, (said, other)


def test_the_command_writes_the_same_bytes_twice(tmp_path):
    examples("attention", "a", 2).save(tmp_path / "a.h5")
    for name in ("one", "two"):
        words = ["pictures", "--spec", json.dumps(SPEC)]
        words += ["--examples", str(tmp_path / "a.h5")]
        assert main([*words, "--output", str(tmp_path / name)]) == 0
    for suffix in ("png", "pdf"):
        both = [(tmp_path / f"{name}.{suffix}").read_bytes() for name in ("one", "two")]
        assert both[0] == both[1] and len(both[0]) > 1000


def per_class(methods: dict[str, list[float]], names: list[str]) -> pd.DataFrame:
    rows = [
        {"dataset": "a", "method": m, "prop": 0.1, "seed": s, "epoch": "last"}
        | {"class": name, "ap": ap + s}
        for m, values in methods.items()
        for s in (0, 1)
        for name, ap in zip(names, values, strict=True)
    ]
    return pd.DataFrame(rows)


def test_classes_are_in_the_order_of_the_first_method():
    spec = {**SPEC, "epoch": "last", "proportions": [0.1, 0.5]}
    found = per_class({"coop": [10, 50, 20], "sarl": [30, 40, 60]}, ["x", "y", "z"])
    [panel] = class_figure.build(spec, found)
    assert panel.title == "Set A, 10 % known labels"
    assert panel.classes == ["z", "y", "x"]
    np.testing.assert_allclose(panel.ap, [[60.5, 40.5, 30.5], [20.5, 50.5, 10.5]])
    assert panel.labels == ["SARL (mAP 43.8)", "CoOp (mAP 27.2)"]


def test_eighty_classes_are_legible():
    """Every name is there, in 7 points or more, and none runs over another."""
    names = [f"traffic light {number}" for number in range(80)]
    values = np.linspace(95, 20, 80)
    spec = {**SPEC, "epoch": "last", "proportions": [0.1]}
    found = per_class({"sarl": list(values), "coop": list(values - 9)}, names)
    figure = class_figure.draw(class_figure.build(spec, found))
    figure.set_dpi(100)
    figure.canvas.draw()
    labels = [
        t
        for axes in figure.findobj()
        if hasattr(axes, "get_yticklabels")
        for t in axes.get_yticklabels()
    ]
    assert sorted(label.get_text() for label in labels) == sorted(names)
    assert min(label.get_fontsize() for label in labels) >= 7
    boxes = [label.get_window_extent() for label in labels]
    for above, below in itertools.pairwise(boxes):
        assert not above.overlaps(below)
    assert min(box.x0 for box in boxes) >= 0


@pytest.mark.parametrize("long", [False, True])
def test_a_long_title_and_long_methods_stay_inside(long):
    title = "Photographs of a whole year, a small model" if long else "Photographs"
    more = ", started as CLIP's own or at the words" if long else ""
    spec = copy.deepcopy({**SPEC, "epoch": "last", "proportions": [0.1]})
    spec["datasets"][1]["title"] = title
    for method in spec["methods"]:
        method["title"] += more
    found = per_class({"coop": [10, 50], "sarl": [30, 40]}, ["x", "y"])
    figure = class_figure.draw(class_figure.build(spec, found))
    figure.canvas.draw()
    [place] = figure.findobj(SubFigure)
    [legend] = place.legends
    for artist in (place._suptitle, legend):
        box = artist.get_window_extent()
        assert box.x0 >= 0 and box.x1 <= figure.bbox.x1
    assert (place._suptitle.get_fontsize() < 9) == long


def test_a_figure_of_classes_that_were_not_run_is_drawn():
    spec = {**SPEC, "epoch": "last", "proportions": [0.5]}
    panels = class_figure.build(spec, per_class({"sarl": [10]}, ["x"]))
    assert panels == [] and "not run" in texts(class_figure.draw(panels))
