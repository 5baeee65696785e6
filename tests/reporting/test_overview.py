"""The report's first page: what it says, and how it looks in a browser."""

import json
import re
import subprocess

import pytest

from mlrpl.__main__ import main
from mlrpl.reporting import provenance
from support import browser
from support.synthetic_metrics import write_run
from support.synthetic_paper import EPOCHS, write_results
from support.tables import NINE, PUBLISHED

DATASETS = [
    {"name": "coco2014", "title": "MS-COCO", "published": "coco2014"},
    {"name": "mine", "title": "Mine & <yours>"},
]
METHODS = [
    {"name": "coop", "title": "CoOp", "published": ["CoOp"]},
    {"name": "sarl", "title": "SARL", "published": ["Ours"]},
]
PROPS = [0.1, 0.5, 0.9]
CONFIG = {"experiments": {}}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Tables, figures and pages out of two methods' runs, and the page of them all."""
    folder = tmp_path_factory.mktemp("overview")
    runs = [
        f"{d}/{m}/prop={p}/seed={s}"
        for d, m in (("coco2014", "coop"), ("coco2014", "sarl"), ("mine", "sarl"))
        for p in (NINE if m == "sarl" else PROPS)
        for s in range(2)
    ]
    metrics = [str(path) for path in write_results(CONFIG, runs, folder)]
    common = {"datasets": DATASETS, "methods": METHODS, "proportions": NINE}
    table = {**common, "layout": "proportions", "title": "mAP at $proportions"}
    averages = {**common, "layout": "averages", "metrics": ["OF1"], "title": "F1"}
    figure = {**common, "kind": "curve", "title": "SD"}
    more = ["--metrics", *metrics, "--published"]
    tables, figures = folder / "tables", folder / "figures"
    titles = json.dumps({method["name"]: method["title"] for method in METHODS})
    names = json.dumps({dataset["name"]: dataset["title"] for dataset in DATASETS})
    some = [m.replace("metrics.json", "history.csv") for m in metrics if "=0.5" in m]
    called = ("--datasets", names)

    def make(*words, to):
        assert main([*words, "--output", str(folder / to)]) == 0, words[0]

    for kind, spec, to in (
        ("table", table, "tables/table2"),
        ("table", averages, "tables/table3"),
        ("figure", figure, "figures/figure4"),
    ):
        printed = PUBLISHED / ("table3.csv" if to.endswith("3") else "table2.csv")
        make(kind, "--spec", json.dumps(spec), *more, str(printed), to=to)
    each = tables / "per_class_ap.csv"
    make("collect", *metrics, "--per-class", str(each), to="tables/metrics.csv")
    make("per_class", str(each), "--methods", titles, *called, to="report/classes.html")
    make("curves", *some, "--titles", titles, *called, to="report/curves")
    shown = [
        (tables / "table2.html", {"section": "Tables", "title": "Table 2"}),
        (tables / "table3.html", {"section": "Tables", "title": "Table 3"}),
        (figures / "figure4.png", {"section": "Figures", "title": "Figure 4: SD"}),
        (folder / "report/curves.png", {"section": "Figures", "title": "Curves"}),
        (
            folder / "report/classes.html",
            {"section": "Tables", "title": "Classes", "folded": True},
        ),
        (tables / "metrics.csv", {"section": "Tables", "title": "Every number"}),
    ]
    caption = "What ``per_class_ap.csv`` *has*,\nin 3 * 4 < 13 words.\n"
    shown[2][1]["caption"] = caption
    contents = {"title": "A <report>", "about": "Of *Ruan* et al."}
    contents["items"] = [item for _, item in shown]
    files = [str(path) for path, _ in shown]
    runs = [m.replace("metrics.json", "run.json") for m in metrics]
    words = ("overview", "--contents", json.dumps(contents))
    make(*words, "--shown", *files, "--runs", *runs, to="report/index.html")
    return folder


@pytest.fixture(scope="module")
def page(made):
    return (made / "report/index.html").read_text()


def cells(text):
    """The cells of the rows of a table, by its first cell."""
    rows = re.findall(r"<tr[^>]*>(.*?)</tr>", text, re.DOTALL)
    found = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL) for row in rows]
    return [[re.sub(r"<[^>]+>", "", cell) for cell in row] for row in found]


def summary(page):
    """The part of the page between its first two headings."""
    return re.split("</?h2>", page)[2]


def test_the_page_says_first_what_was_printed_and_made(made, page):
    rows = cells(summary(page))
    assert rows[0][2:] == ["MS-COCO", "Mine &amp; &lt;yours&gt;", "Seeds"]
    assert rows[1] == ["Printed", "This run", "Difference", "This run"]
    assert rows[2] == ["Table 2"]
    table = {row[0]: row for row in cells((made / "tables/table2.html").read_text())}
    sarl = rows[4]
    assert sarl[:2] == ["SARL", "Avg. mAP"] and sarl[2] == "81.7" and sarl[-1] == "2"
    assert sarl[3] == table["SARL"][-2].split()[0]
    difference = float(sarl[3]) - 81.7
    assert float(sarl[4].replace("−", "-")) == pytest.approx(difference, abs=0.051)


def test_a_method_with_fewer_proportions_is_compared_over_those(page):
    """CoOp is not printed in Table 2: its number is of this run alone."""
    coop = cells(summary(page))[3]
    assert coop[:3] == ["CoOp", "mAP at 10, 50 and 90 %", ""] and coop[4] == ""


def test_the_page_says_how_it_was_made(page):
    facts = dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", page))
    assert facts["Trainings"] == str(2 * (3 + 9 + 9))
    assert float(facts["Hours of training"]) == pytest.approx(42 * 102 / 3600, abs=0.01)
    assert facts["Device"] == "cpu"
    assert facts["Versions"] == "numpy 2.4, python 3.11, torch 2.14"
    assert "commit" in facts["Page made by"]


def test_the_page_holds_tables_figures_and_captions(page):
    assert "<title>A &lt;report&gt;</title>" in page
    assert "Of <em>Ruan</em> et al." in page
    assert page.count("data:image/png;base64,") == 2
    said = "What <code>per_class_ap.csv</code> <em>has</em>, in 3 * 4 &lt; 13 words."
    assert said in page
    assert page.index("Table 2</h3>") < page.index("Figure 4: SD</h3>")
    assert page.index("<summary>Classes</summary>") > page.index("Table 3</h3>")
    assert "metrics.csv</code>: Every number</p>" in page
    assert not re.search(r"(src|href)=\"(?!data:|#)", page)


@pytest.mark.skipif(browser.CHROMIUM is None, reason="needs Chromium")
@pytest.mark.parametrize("width", [420, 1400])
def test_a_browser_shows_the_page_whole(made, width, tmp_path):
    seen = browser.look(made / "report/index.html", width, tmp_path)
    assert seen.inner == width
    assert seen.faults == []
    assert seen.asked == []
    assert seen.scroll <= seen.inner, seen.wide
    assert seen.wide == []
    assert len(seen.pictures) == 2
    assert all(loaded and own > 1000 for _, loaded, own, _ in seen.pictures)
    assert all(name and shown <= width for name, _, _, shown in seen.pictures)
    if width == 420:
        assert any(moved for moved, _ in seen.sticky)
        assert all(left <= 1 for moved, left in seen.sticky if moved)


@pytest.mark.skipif(browser.CHROMIUM is None, reason="needs Chromium")
@pytest.mark.parametrize("name", ["tables/table2", "report/classes"])
def test_a_browser_shows_a_table_on_a_small_screen(made, name, tmp_path):
    seen = browser.look(made / f"{name}.html", 420, tmp_path)
    assert seen.faults == [] and seen.wide == []
    assert seen.scroll <= seen.inner == 420
    [(_, left)] = seen.sticky
    assert left <= 1


def test_hours_are_those_that_runs_recorded(tmp_path):
    paths = [write_run(tmp_path, "sarl", p, 0, 50.0) for p in (0.1, 0.5)]
    files = [path.with_name("run.json") for path in paths]
    setting = {"dataset": "a", "method": "b", "prop": 0.1, "seed": 0}
    whole = {"seconds": {"load": 600, "train": 3000}, "device": "cuda"}
    files[0].write_text(json.dumps({**setting, **whole}))
    files[1].write_text(json.dumps({**setting, "device": "cpu"}))
    facts = provenance.facts(files)
    assert facts["Hours of training"] == "1, without 1 that did not record them"
    assert facts["Device"] == "cuda (1); cpu (1)"
    assert "Versions" not in facts


def test_the_commit_is_named_with_what_differs(tmp_path):
    def git(*words):
        subprocess.run(["git", "-C", str(tmp_path), *words], check=True)

    assert "no git checkout" in provenance.commit(tmp_path)
    git("init", "-q")
    (tmp_path / "a").write_text("a")
    git("add", "a")
    who = ("-c", "user.name=a", "-c", "user.email=a@b.c")
    git(*who, "commit", "-q", "-m", "a")
    assert re.fullmatch(r"commit [0-9a-f]{12}", provenance.commit(tmp_path))
    (tmp_path / "a").write_text("b")
    assert provenance.commit(tmp_path).endswith(" with uncommitted changes")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["overview", "--contents", '{"title": "T"}', "--shown", "a"], "items"),
        (
            ["overview", "--contents", "{}", "--shown", "a"],
            "'title' is a required property",
        ),
        (["curves", "none/history.csv"], "none/run.json: No such file or directory"),
        (["curves", "h.csv", "--titles", "[1]"], "--titles: give names and titles"),
        (
            ["per_class", "none.csv", "--methods", "{}", "--datasets", "{}"],
            "none.csv: No",
        ),
    ],
)
def test_mistakes_are_one_line(words, said, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main([*words, "--output", "out"]) == 1
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


def test_a_file_that_is_missing_is_named(tmp_path, capsys):
    item = {"section": "Tables", "title": "T"}
    contents = json.dumps({"title": "T", "items": [item]})
    words = ["overview", "--contents", contents, "--output", str(tmp_path / "o.html")]
    assert main([*words, "--shown", str(tmp_path / "t.html")]) == 1
    assert "t.html: No such file or directory" in capsys.readouterr().err
    assert main([*words, "--shown", "a", "b"]) == 1
    assert "2 files for 1 items" in capsys.readouterr().err
    assert not (tmp_path / "o.html").exists()


def test_training_curves_have_every_epoch(made):
    from mlrpl.reporting import run_files, training_curves

    paths = sorted((made / "runs").glob("coco2014/*/prop=0.5/seed=0/history.csv"))
    histories = [run_files.read_history(path) for path in paths]
    figure = training_curves.draw(histories, {"sarl": "SARL"}, {"coco2014": "COCO"})
    left, right = figure.axes
    assert left.get_title(loc="left") == "COCO, 50 % known labels, seed 0"
    assert len(left.lines) == len(right.lines) == 2
    for line in left.lines:
        assert list(line.get_xdata()) == list(range(1, EPOCHS + 1))
    for line in right.lines:
        assert list(line.get_xdata()) == [5, 10, 15, 20]
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["coop", "SARL"]
    assert len({str(line._unscaled_dash_pattern) for line in left.lines}) == 2


def test_a_picture_that_is_damaged_is_named(tmp_path, capsys):
    (tmp_path / "f.png").write_bytes(b"\x89PNG\r\n")
    item = {"section": "Figures", "title": "F"}
    words = ["--contents", json.dumps({"title": "T", "items": [item]})]
    words += ["--shown", str(tmp_path / "f.png"), "--output", str(tmp_path / "o.html")]
    assert main(["overview", *words]) == 1
    assert "f.png: is no whole picture" in capsys.readouterr().err
