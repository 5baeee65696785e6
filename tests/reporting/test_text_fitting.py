"""Titles and legends end where the figure does, however long they are."""

import itertools
import json

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from mlrpl.reporting import (
    figure_drawing,
    figures,
    published,
    results,
    training_curves,
)
from mlrpl.reporting.run_files import History
from mlrpl.reporting.specs import load_spec
from mlrpl.reporting.text_fitting import DPI, legend_columns, shrunk, width, wrapped
from support.synthetic_metrics import write_run

SENTENCE = "Photographs of a town, by day and by night, with a small model beside them"
WORD = "one-word-" * 9
LONG = [f"{SENTENCE} {WORD}", "5 $ and $_$ " * 6, "日本語の写真" * 9]
FORMULA = r"$\gamma_-$ = 2"


def assert_inside(figure, texts):
    """Assert that texts lie within the figure, and that no two touch."""
    figure.dpi = DPI
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    whole = figure.bbox
    boxes = [text.get_window_extent(renderer) for text in texts if text.get_text()]
    assert boxes
    for box in boxes:
        assert whole.x0 <= box.x0 < box.x1 <= whole.x1, box
        assert whole.y0 <= box.y0 < box.y1 <= whole.y1, box
    for one, other in itertools.combinations(boxes, 2):
        assert not one.overlaps(other)


def titles_and_legend(figure):
    titles = [axes.title for axes in figure.axes] + [a._left_title for a in figure.axes]
    legends = [text for legend in figure.legends for text in legend.get_texts()]
    return titles + legends


@pytest.mark.filterwarnings("ignore:Glyph")
@pytest.mark.parametrize("text", LONG)
@pytest.mark.parametrize("datasets", [1, 2])
def test_a_long_title_stays_in_the_figure(tmp_path, text, datasets):
    names = ["coco2014", "voc2007"][:datasets]
    runs = list(itertools.product(names, ("sarl", "coop", "ssgrl"), (0.1, 0.5)))
    paths = [
        write_run(tmp_path, method, prop, 0, 70.0, dataset=name)
        for name, method, prop in runs
    ]
    spec = {
        "kind": "curve",
        "title": text,
        "x": "prop",
        "hue": "method",
        "datasets": [{"name": name, "title": text} for name in names],
        "methods": [
            {"name": "sarl", "title": text},
            {"name": "coop", "title": f"CoOp {text}"},
            {"name": "ssgrl", "title": "SSGRL"},
        ],
        "proportions": [0.1, 0.5],
    }
    panels = figures.build(
        load_spec(json.dumps(spec), "figure"),
        results.load_metrics(paths),
        published.load_published([]),
    )
    figure = figure_drawing.draw(panels)
    assert_inside(figure, titles_and_legend(figure))


@pytest.mark.filterwarnings("ignore:Glyph")
@pytest.mark.parametrize("text", LONG)
def test_nor_does_one_leave_the_training_curves(text):
    told = {"dataset": "d", "prop": 0.5, "seed": 0}
    histories = [
        History(**told, method=method, loss=[(1, 2.0), (2, 1.0)], mean_ap=[(2, 50.0)])
        for method in "abcde"
    ]
    names = {method: f"{method} {text}" for method in "abcde"}
    figure = training_curves.draw(histories, names, {"d": text})
    assert_inside(figure, titles_and_legend(figure))


def test_lines_are_full_and_hold_every_word():
    text = f"{SENTENCE}, {FORMULA}"
    for points in (80, 120, 300):
        lines = wrapped(text, points, 9, "bold").split("\n")
        assert " ".join(lines) == text
        assert all(width(line, 9, "bold") <= points for line in lines)
        for line, following in itertools.pairwise(lines):
            first = FORMULA if following == FORMULA else following.split(" ")[0]
            assert width(f"{line} {first}", 9, "bold") > points
    assert wrapped(text, 10_000, 9) == text


def test_formulas_stay_whole():
    for text in (FORMULA, r"a $\alpha \beta = \gamma$ b", r"$x$ = 1, $y$ = 2"):
        lines = wrapped(text, 20, 9).split("\n")
        assert all(line.count("$") % 2 == 0 for line in lines)
        assert not any(line.startswith("=") or line.endswith("=") for line in lines)


def test_a_smaller_font_fits():
    size = shrunk(SENTENCE, 100, 9, "bold")
    assert size < 9
    assert 85 < width(SENTENCE, size, "bold") <= 100
    assert shrunk("short", 100, 9) == 9


def test_a_legend_has_the_columns_that_fit():
    labels = ["a", "b", "c", SENTENCE]
    assert legend_columns(labels, 4, 10_000, 8) == 4
    assert legend_columns(labels, 2, 10_000, 8) == 2
    assert legend_columns(labels, 4, width(SENTENCE, 8) + 10, 8) == 1
