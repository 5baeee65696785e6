"""Figures: what their axes hold, and that their files are whole and reproducible."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mlrpl.__main__ import main
from mlrpl.errors import UserError
from mlrpl.reporting import figure_drawing, figures, published, results
from mlrpl.reporting.specs import load_spec
from support.synthetic_metrics import write_run

PUBLISHED = Path(__file__).resolve().parents[2] / "workflow" / "published"
NINE = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
PERCENT = [10, 20, 30, 40, 50, 60, 70, 80, 90]
OURS_COCO = [78.3, 80.2, 81.2, 81.6, 82.3, 82.4, 82.6, 83.4, 83.6]
PRINTED = "SARL as printed (Table 2)"
SA = "sarl+visual=semantic_attention"

FIGURE4 = {
    "kind": "curve",
    "title": "SD and SA",
    "x": "prop",
    "hue": "method",
    "datasets": [
        {"name": "coco2014", "title": "MS-COCO", "published": "coco2014"},
        {"name": "demo", "title": "Demo (VOC layout)", "published": "voc2007"},
    ],
    "methods": [
        {"name": "sarl", "title": "SD", "published": ["Ours"]},
        {"name": SA, "title": "SA"},
    ],
    "proportions": NINE,
    "gain": {"method": "sarl", "baseline": SA, "published": "SD - SA"},
    "published_titles": {"Ours": "SARL"},
}

FIGURE8 = {
    "kind": "curve",
    "title": "Focusing parameters",
    "hue": "prop",
    "datasets": [{"name": "coco2014", "title": "MS-COCO", "published": "coco2014"}],
    "panels": [
        {
            "fixed": {"gamma_neg": 2},
            "x": "gamma_pos",
            "methods": [
                {"name": "sarl", "x": 1, "published": ["Ours"]},
                *({"name": f"sarl+gamma_pos={x}"} for x in (0, 2, 3, 4)),
            ],
        },
        {
            "title": r"$\gamma_+$ = 1",
            "x": "gamma_neg",
            "methods": [
                {"name": "sarl+gamma_neg=0", "published": ["Ours+gamma_neg=0"]},
                {"name": "sarl+gamma_neg=1"},
                {"name": "sarl", "x": 2, "published": ["Ours+gamma_neg=2"]},
                {"name": "sarl+gamma_neg=3"},
                {"name": "sarl+gamma_neg=4"},
            ],
        },
    ],
    "proportions": [0.5, 0.8],
}


def draw(spec, paths, *names):
    spec = load_spec(json.dumps(spec), "figure")
    runs = results.load_metrics(paths)
    printed = published.load_published([PUBLISHED / f"{name}.csv" for name in names])
    return figure_drawing.draw(figures.build(spec, runs, printed))


def lines(axes):
    """Lines and marks with a label, by label; data as lists, gaps as None."""
    found = {}
    for container in axes.containers:
        found[container.get_label()] = container.lines[0]
    for line in axes.lines:
        if not line.get_label().startswith("_"):
            found[line.get_label()] = line
    return {
        label: [
            (float(x), None if np.isnan(y) else float(y))
            for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)
        ]
        for label, line in found.items()
    }


def texts(axes):
    return [text.get_text() for text in axes.texts]


@pytest.fixture
def over_proportions(tmp_path):
    """`sarl` and SA on COCO, `sarl` of two seeds; one proportion of SA is missing."""
    paths = []
    for p in NINE:
        for seed in (0, 1):
            paths.append(write_run(tmp_path, "sarl", p, seed, 70 + 10 * p + seed))
        if p != 0.3:
            paths.append(write_run(tmp_path, SA, p, 0, 68 + 10 * p))
        paths.append(write_run(tmp_path, "sarl", p, 0, 40 + p, dataset="demo"))
    return paths


def test_a_line_has_the_means_over_seeds_and_gaps_where_nothing_ran(over_proportions):
    figure = draw(FIGURE4, over_proportions, "table2", "figure4")
    coco = figure.axes[0]
    found = lines(coco)
    assert list(found) == ["SD", "SA", PRINTED]
    assert found["SD"] == [(x, pytest.approx(70.5 + x / 10)) for x in PERCENT]
    assert [y for _, y in found["SA"]] == [
        None if p == 0.3 else pytest.approx(68 + 10 * p) for p in NINE
    ]
    assert found[PRINTED] == list(zip(PERCENT, OURS_COCO, strict=True))
    (bars,) = coco.containers[0].lines[2]
    low, high = bars.get_segments()[0][:, 1]
    assert high - low == pytest.approx(2 * np.std([71, 72], ddof=1))
    assert len(coco.containers[1].lines[2]) == 0  # one seed: no bar
    assert [label.get_text() for label in coco.get_xticklabels()] == [
        str(p) for p in PERCENT
    ]
    assert coco.get_title(loc="left") == "MS-COCO"
    assert coco.get_ylabel() == "mAP (%)"


def test_the_papers_line_is_drawn_only_beside_the_same_data(over_proportions):
    figure = draw(FIGURE4, over_proportions, "table2", "figure4")
    demo = figure.axes[1]
    assert list(lines(demo)) == ["SD", "SA"]
    assert demo.get_ylim()[1] < 50  # not squashed by the paper's 94
    compared = json.loads(json.dumps(FIGURE4))
    compared["datasets"][1]["compare"] = True
    figure = draw(compared, over_proportions, "table2", "figure4")
    assert figure.axes[1].get_ylim()[1] > 94
    compared["datasets"][0]["compare"] = False
    figure = draw(compared, over_proportions, "table2", "figure4")
    assert list(lines(figure.axes[0])) == ["SD", "SA"]


def test_the_average_gain_is_written_beside_the_papers(over_proportions):
    figure = draw(FIGURE4, over_proportions, "table2", "figure4")
    assert texts(figure.axes[0]) == [
        "average gain +2.5 over 8 of 9 proportions (paper: +1.1)"
    ]
    assert texts(figure.axes[1]) == ["paper, on Pascal VOC: +1.9"]
    figure = draw({**FIGURE4, "proportions": [0.1, 0.5]}, over_proportions)
    assert texts(figure.axes[0]) == ["average gain +2.5"]
    assert texts(figure.axes[1]) == []


def test_seeds_and_epoch_of_the_spec_are_drawn(tmp_path):
    paths = [
        write_run(tmp_path, "sarl", p, seed, 10 * seed + p, 50.0)
        for p in (0.1, 0.2)
        for seed in (0, 1)
    ]
    spec = {
        **FIGURE4,
        "datasets": [{"name": "coco2014"}],
        "methods": [{"name": "sarl"}],
        "proportions": [0.2, 0.1],
        "seeds": [1],
    }
    spec.pop("gain")
    assert lines(draw(spec, paths).axes[0]) == {"sarl": [(10, 10.1), (20, 10.2)]}
    spec["epoch"] = "best"
    assert lines(draw(spec, paths).axes[0]) == {"sarl": [(10, 50), (20, 50)]}


@pytest.fixture
def over_options(tmp_path):
    """The settings of Figure 8, without gamma_neg=3 at 80 %."""
    value = {}
    for p in (0.5, 0.8):
        value["sarl", p] = 80 + p
        for x in range(5):
            value[f"sarl+gamma_pos={x}", p] = 70 + x + p
            value[f"sarl+gamma_neg={x}", p] = 60 + x + p
    for missing in ("sarl+gamma_pos=1", "sarl+gamma_neg=2"):
        del value[missing, 0.5], value[missing, 0.8]
    del value["sarl+gamma_neg=3", 0.8]
    return [write_run(tmp_path, m, p, 0, v) for (m, p), v in value.items()]


def test_an_option_is_the_axis_and_the_default_run_has_its_place(over_options):
    figure = draw(FIGURE8, over_options, "table2", "figure8")
    left, right = figure.axes
    half, most = "50 % known labels", "80 % known labels"
    found = lines(left)
    assert found[half] == [*((0, 70.5), (1, 80.5), (2, 72.5), (3, 73.5), (4, 74.5))]
    assert found[most][1] == (1, 80.8)
    found = lines(right)
    assert found[half] == [*((0, 60.5), (1, 61.5), (2, 80.5), (3, 63.5), (4, 64.5))]
    assert found[most][3] == (3, None)
    assert left.get_xlabel() == r"$\gamma_+$"
    assert right.get_xlabel() == r"$\gamma_-$"
    assert left.get_title(loc="left") == r"MS-COCO, $\gamma_-$ = 2"
    assert left.get_ylim() == right.get_ylim()


def test_printed_numbers_are_crosses_in_the_colour_of_their_line(over_options):
    figure = draw(FIGURE8, over_options, "table2", "figure8")
    marks = {}
    for axes, name in zip(figure.axes, ("left", "right"), strict=True):
        colours = {
            container.lines[0].get_color(): container.get_label()[:4]
            for container in axes.containers
        }
        for line in axes.lines:
            if line.get_label().startswith("as printed"):
                assert line.get_marker() in "x+"
                assert line.get_linestyle() == "None"
                points = list(zip(line.get_xdata(), line.get_ydata(), strict=True))
                key = (name, line.get_label(), colours[line.get_color()])
                marks[key] = points
    assert marks == {
        ("left", "as printed (Table 2)", "50 %"): [(1, 82.3)],
        ("left", "as printed (Table 2)", "80 %"): [(1, 83.4)],
        ("right", "as printed (Figure 8)", "50 %"): [(0, 76.5), (2, 82.0)],
        ("right", "as printed (Figure 8)", "80 %"): [(0, 77.6), (2, 82.3)],
        ("right", "as printed (Table 2)", "50 %"): [(2, 82.3)],
        ("right", "as printed (Table 2)", "80 %"): [(2, 83.4)],
    }
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [
        *("50 % known labels", "80 % known labels"),
        *("as printed (Table 2)", "as printed (Figure 8)"),
    ]


def test_marks_at_one_place_stand_beside_one_another(over_options):
    """No mark's centre is within another one, of a run or of the paper."""
    figure = draw(FIGURE8, over_options, "table2", "figure8")
    figure.draw_without_rendering()
    for axes in figure.axes:
        places = []
        for line in axes.lines:
            if line.get_marker() not in ("None", "", "_", "|"):
                points = line.get_transform().transform(line.get_xydata())
                places += [tuple(point) for point in points if np.isfinite(point).all()]
        assert len(places) >= 12
        low, high = axes.get_window_extent().extents.reshape(2, 2)
        assert all((low < place).all() and (place < high).all() for place in places)
        far = 2.0 * figure.dpi / 72  # points
        for i, one in enumerate(places):
            for other in places[:i]:
                assert np.hypot(*np.subtract(one, other)) >= far


def test_the_default_is_marked_on_the_axis(over_options):
    spec = json.loads(json.dumps(FIGURE8))
    spec["panels"][0]["default"] = 1
    figure = draw(spec, over_options)
    left, right = figure.axes
    ticks = [label.get_text() for label in left.get_xticklabels()]
    assert ticks == ["0", "1\ndefault", "2", "3", "4"]
    assert not any("default" in text.get_text() for text in right.get_xticklabels())


def test_lines_differ_in_marker_and_dashes_not_in_colour_alone(over_proportions):
    figure = draw(FIGURE4, over_proportions, "table2", "figure4")
    found = [container.lines[0] for container in figure.axes[0].containers]
    found += [line for line in figure.axes[0].lines if line.get_label() == PRINTED]
    looks = {(line.get_marker(), str(line._unscaled_dash_pattern)) for line in found}
    assert len({marker for marker, _ in looks}) == len(looks) == 3
    assert len({dashes for _, dashes in looks}) == 3


def test_the_legend_says_what_bars_are(over_proportions):
    figure = draw(FIGURE4, over_proportions, "table2", "figure4")
    (legend,) = figure.legends
    said = "Bars: ± one sample standard deviation over 2 seeds"
    assert legend.get_title().get_text() == said
    one = [path for path in over_proportions if "seed=0" in str(path)]
    (legend,) = draw(FIGURE4, one, "table2", "figure4").legends
    assert "Bars" not in legend.get_title().get_text()


def test_named_values_of_an_option_are_not_joined(over_options):
    spec = {
        **FIGURE8,
        "panels": [
            {
                "x": "visual",
                "methods": [
                    {"name": "sarl", "x": "semantic_decoupling"},
                    {"name": "sarl+visual=global"},
                ],
            }
        ],
    }
    (axes,) = draw(spec, over_options).axes
    assert [label.get_text() for label in axes.get_xticklabels()] == [
        *("semantic_decoupling", "global")
    ]
    assert lines(axes)["50 % known labels"] == [(0, 80.5), (1, None)]
    assert axes.containers[0].lines[0].get_linestyle() == "None"


def test_the_legend_lies_outside_the_panels(over_proportions):
    figure = draw(FIGURE4, over_proportions, "table2", "figure4")
    figure.draw_without_rendering()
    (legend,) = figure.legends
    box = legend.get_window_extent()
    for axes in figure.axes:
        assert not box.overlaps(axes.get_tightbbox())
    left, right = (axes.get_tightbbox() for axes in figure.axes)
    assert not left.overlaps(right)
    assert right.x1 <= figure.bbox.x1


def test_a_panel_without_any_run_says_so():
    figure = draw(FIGURE4, [])
    assert [texts(axes) for axes in figure.axes] == [["not run"], ["not run"]]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"metric": "F1"}, "metric: F1 is unknown"),
        ({"hue": "prop"}, "hue: prop does not go with x: prop"),
        ({"x": "gamma_neg", "hue": "prop"}, "sarl does not set gamma_neg; give its x"),
        ({"kind": "bar"}, "kind: 'bar' is not one of"),
        ({"methods": []}, "methods:"),
    ],
)
def test_mistakes_in_a_spec_are_one_line(changes, message):
    with pytest.raises(UserError) as caught:
        draw({**FIGURE4, **changes}, [])
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_figure_without_methods_is_refused():
    spec = {key: value for key, value in FIGURE4.items() if key != "methods"}
    with pytest.raises(UserError, match="methods: there are none"):
        draw(spec, [])


def test_the_command_writes_the_same_bytes_again(over_proportions, tmp_path):
    arguments = [
        *("figure", "--spec", json.dumps(FIGURE4), "--metrics"),
        *map(str, over_proportions),
        *("--published", *(str(PUBLISHED / f"{n}.csv") for n in ("table2", "figure4"))),
        "--output",
    ]
    assert main([*arguments, str(tmp_path / "a/figure4")]) == 0
    subprocess.run(  # another process, another day as far as the files can tell
        [sys.executable, "-m", "mlrpl", *arguments, str(tmp_path / "b/figure4")],
        check=True,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sys.path),
            "SOURCE_DATE_EPOCH": "86400",
        },
    )
    for suffix in ("pdf", "png"):
        first = (tmp_path / f"a/figure4.{suffix}").read_bytes()
        assert first == (tmp_path / f"b/figure4.{suffix}").read_bytes()
    pdf = (tmp_path / "a/figure4.pdf").read_bytes()
    assert pdf.startswith(b"%PDF-")
    assert b"CreationDate" not in pdf
    assert b"/Type3" not in pdf  # text is kept as text
    with Image.open(tmp_path / "a/figure4.png") as image:
        image.load()
        assert round(image.info["dpi"][0]) == 200
        assert image.width > image.height > 400
        assert len(image.getcolors(1 << 20)) > 20  # it is not blank
