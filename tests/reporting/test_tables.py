"""Collected metrics, published numbers, and the tables that are made of both."""

import csv
import json
import re
import statistics
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

from mlrpl.reporting import published, results, table_formats, tables
from mlrpl.__main__ import main
from mlrpl.errors import UserError
from mlrpl.evaluation.metrics import METRICS
from mlrpl.reporting.specs import load_spec
from support.synthetic_metrics import write_run

PUBLISHED = Path(__file__).resolve().parent.parent / "workflow" / "published"
NINE = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
FORMATS = ("csv", "md", "tex", "html")
PAPER_METHODS = ["SSGRL", "GCN-ML", "KGGR", "SST", "HST", "SARB", "DSRB", "Ours"]

# --- metrics.csv ----------------------------------------------------------------------


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
    with pytest.raises(UserError, match=r"again\.json: the same setting as .*seed=1"):
        results.load([*some_runs, again])


def test_damaged_metrics_are_named(tmp_path, capsys):
    path = tmp_path / "metrics.json"
    output = str(tmp_path / "out.csv")
    for content, message in (
        ("{", "metrics.json: no valid JSON"),
        ("[]", "metrics.json: not a JSON object"),
        ('{"dataset": "a"}', "metrics.json: no method"),
    ):
        path.write_text(content)
        assert main(["collect", str(path), "--output", output]) == 1
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1
    assert main(["collect", str(tmp_path / "none.json"), "--output", output]) == 1
    assert "none.json: No such file" in capsys.readouterr().err


# --- the published numbers ------------------------------------------------------------


def printed(name):
    return published.load([PUBLISHED / f"{name}.csv"])


def test_published_tables_have_every_row_of_the_paper():
    for name in ("table2", "table3"):
        frame = printed(name)
        for dataset in ("coco2014", "voc2007"):
            mine = frame[frame["dataset"] == dataset]
            assert list(mine["method"].unique()) == PAPER_METHODS
    ablation = printed("table4")
    assert list(ablation["method"].unique()) == [
        *("CoOp", "CoOp w/csp", "CoOp w/sd", "Ours")
    ]
    assert len(printed("table2")) == 2 * 8 * 10
    assert len(printed("table3")) == 2 * 8 * 2
    assert len(ablation) == 2 * 4 * 6
    for path in PUBLISHED.glob("*.csv"):
        frame = published.load([path])
        cells = ["dataset", "method", "prop", "metric", "table"]
        assert not frame.duplicated(cells).any(), path


@pytest.mark.parametrize(
    ("table", "method", "dataset", "prop", "mean", "std"),
    [
        ("table2", "SSGRL", "voc2007", "0.1", 77.7, 0.9),
        ("table2", "HST", "coco2014", "0.4", 78.3, 0.2),
        ("table2", "DSRB", "coco2014", "0.1", 72.5, 0.6),
        ("table2", "Ours", "coco2014", "average", 81.7, 0.2),
        ("table2", "Ours", "voc2007", "0.9", 94.3, 0.1),
        ("table4", "CoOp w/csp", "coco2014", "0.7", 78.4, None),
        ("table4", "Ours", "coco2014", "average", 81.6, None),
    ],
)
def test_published_cells(table, method, dataset, prop, mean, std):
    found = published.lookup(printed(table), dataset, method, prop, "mAP")
    assert found[0] == mean
    assert pd.isna(found[1]) if std is None else found[1] == std


def test_published_averages_are_means_of_their_rows_but_for_one():
    wrong = {}
    for table in ("table2", "table4"):
        frame = printed(table)
        for (dataset, method), row in frame.groupby(["dataset", "method"]):
            cells = row[row["prop"] != "average"]["mean"]
            average = row[row["prop"] == "average"]["mean"].item()
            assert len(cells) == (9 if table == "table2" else 5)
            if abs(cells.mean() - average) > 0.05 + 1e-9:
                wrong[table, dataset, method] = (round(cells.mean(), 2), average)
    # the paper's own: 89.96 printed as 89.9
    assert wrong == {("table4", "voc2007", "CoOp"): (89.96, 89.9)}


def test_published_ours_is_the_same_in_tables_2_and_4():
    two, four = printed("table2"), printed("table4")
    for dataset in ("coco2014", "voc2007"):
        for prop in ("0.1", "0.3", "0.5", "0.7", "0.9"):
            key = (dataset, "Ours", prop, "mAP")
            assert published.lookup(two, *key)[0] == published.lookup(four, *key)[0]


def test_the_papers_contradiction_on_figure_8_is_on_record():
    frame = printed("figure8")
    here = frame[frame["method"] == "Ours+gamma_neg=2"]
    found = {
        (table, prop): mean
        for table, prop, mean in here[["table", "prop", "mean"]].itertuples(index=False)
    }
    assert found == {
        ("Figure 8", "0.5"): 82.0,
        ("Figure 8", "0.8"): 82.3,
        ("Table 2", "0.5"): 82.3,
        ("Table 2", "0.8"): 83.4,
    }
    for prop, mean in (("0.5", 82.3), ("0.8", 83.4)):
        key = ("coco2014", "Ours", prop, "mAP")
        assert published.lookup(printed("table2"), *key)[0] == mean
    assert here["note"].str.contains("at this setting").all()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("section", "part", "no column section"),
        ("62.4", "62,4", "mean"),
        (",0.1,mAP,62.4", ",10 %,mAP,62.4", "prop: '10 %' is neither a number"),
        (",0.1,mAP,62.4", ",0.10,mAP,62.4", "prop: '0.10' is neither a number"),
    ],
)
def test_bad_published_files_are_refused(tmp_path, old, new, message):
    text = (PUBLISHED / "table2.csv").read_text()
    new = f'"{new}"' if "62,4" in new else new
    path = tmp_path / "mine.csv"
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(UserError, match=re.escape(message)) as caught:
        published.load([path])
    assert "\n" not in str(caught.value)


# --- contents of a table --------------------------------------------------------------


def spec(**changes):
    """A table of `sarl` on COCO, as `load_spec` returns it."""
    base = {
        "title": "A table",
        "layout": "proportions",
        "datasets": [{"name": "coco2014", "title": "MS-COCO", "published": "coco2014"}],
        "methods": [{"name": "sarl", "title": "Ours"}],
        "proportions": NINE,
    }
    return load_spec(json.dumps({**base, **changes}), "table")


def build(spec, paths, *names):
    runs = results.load(paths, spec["columns"])
    files = [PUBLISHED / f"{name}.csv" for name in names]
    return tables.build(spec, runs, published.load(files))


def ours(table):
    return [row for row in table.rows if row.source == "this run"]


@pytest.fixture
def grid(tmp_path):
    """`sarl` on COCO at nine proportions and three seeds; mAP by (prop, seed)."""
    values = {(p, s): 60 + 20 * p + 0.37 * s * (1 + p) for p in NINE for s in range(3)}
    paths = [
        write_run(tmp_path, "sarl", p, s, {"mAP": v, "OF1": v - 5, "CF1": v - 8}, v + 1)
        for (p, s), v in values.items()
    ]
    return paths, values


def test_cells_are_mean_and_sample_deviation_over_seeds(grid):
    paths, values = grid
    (row,) = ours(build(spec(), paths, "table2"))
    for p in NINE:
        mine = [values[p, s] for s in range(3)]
        assert row.cells[str(p)].mean == pytest.approx(statistics.mean(mine))
        assert row.cells[str(p)].std == pytest.approx(statistics.stdev(mine))
    averages = [statistics.mean(values[p, s] for p in NINE) for s in range(3)]
    assert row.cells["average"].mean == pytest.approx(statistics.mean(averages))
    assert row.cells["average"].std == pytest.approx(statistics.stdev(averages))
    best = row.cells["average_best"].mean
    assert best == pytest.approx(statistics.mean(averages) + 1)
    assert (row.seeds, row.epoch) == ("3", "last")


def test_one_seed_has_no_deviation(grid):
    paths, values = grid
    (row,) = ours(build(spec(seeds=[1]), paths, "table2"))
    assert row.cells["0.3"].mean == values[0.3, 1]
    assert pd.isna(row.cells["0.3"].std)
    assert row.seeds == "1"


def test_the_best_epoch_can_fill_the_table(grid):
    paths, values = grid
    table = build(spec(epoch="best", seeds=[0]), paths)
    (row,) = table.rows
    assert row.cells["0.2"].mean == values[0.2, 0] + 1
    assert [column.key for column in table.columns][-1] == "average"


def test_what_was_not_run_stays_empty(grid):
    paths, values = grid
    left = [
        p for p in paths if "prop=0.4" not in str(p) and "prop=0.7/seed=2" not in str(p)
    ]
    table = build(spec(), left, "table2")
    (row,) = ours(table)
    assert "0.4" not in row.cells
    assert pd.isna(row.cells["average"].mean)
    assert row.seeds == "2-3"
    frame = table_formats.to_frame(table)
    line = frame[frame["source"] == "this run"].iloc[0]
    assert pd.isna(line["0.4"])
    assert pd.isna(line["average"])
    assert line["0.7"] == pytest.approx((values[0.7, 0] + values[0.7, 1]) / 2)
    assert "An empty cell was not run" in " ".join(table.notes)


def test_an_average_takes_only_seeds_with_every_proportion(grid):
    paths, values = grid
    left = [p for p in paths if "prop=0.7/seed=2" not in str(p)]
    (row,) = ours(build(spec(), left, "table2"))
    averages = [statistics.mean(values[p, s] for p in NINE) for s in range(2)]
    assert row.cells["average"].mean == pytest.approx(statistics.mean(averages))


def test_a_method_without_any_run_is_an_empty_row():
    table = build(spec(), [], "table2")
    (row,) = ours(table)
    assert all(pd.isna(cell.mean) for cell in row.cells.values())
    assert row.seeds == ""
    assert "| Ours | this run |  |  |" in table_formats.to_markdown(table)


def test_the_papers_rows_stand_first_as_printed(grid):
    table = build(spec(), grid[0], "table2")
    assert [row.method for row in table.rows] == [*PAPER_METHODS, "sarl"]
    first = table.rows[0]
    assert (first.source, first.reference) == ("paper", "arXiv 2412.10843 Table 2")
    assert (first.cells["0.1"].mean, first.cells["0.1"].std) == (62.4, 0.4)
    assert "average_best" not in first.cells
    assert {row.dataset_title for row in table.rows} == {"MS-COCO"}


def test_columns_are_the_union_and_the_average_the_papers(grid):
    paths, values = grid
    table = build(spec(proportions=[0.5, 0.95]), paths, "table4")
    assert [column.key for column in table.columns] == [
        *("0.1", "0.3", "0.5", "0.7", "0.9", "0.95", "average", "average_best")
    ]
    (row,) = ours(table)
    averages = [
        statistics.mean(values[p, s] for p in (0.1, 0.3, 0.5, 0.7, 0.9))
        for s in range(3)
    ]
    assert row.cells["average"].mean == pytest.approx(statistics.mean(averages))
    assert "mean over 10, 30, 50, 70, 90 % of known labels" in " ".join(table.notes)


def test_columns_can_be_this_runs_alone(grid):
    paths, values = grid
    changed = spec(proportions=[0.5, 0.9], published_proportions=False)
    table = build(changed, paths, "table2")
    assert [column.key for column in table.columns] == [
        *("0.5", "0.9", "average", "average_best")
    ]
    (row,) = ours(table)
    averages = [(values[0.5, s] + values[0.9, s]) / 2 for s in range(3)]
    assert row.cells["average"].mean == pytest.approx(statistics.mean(averages))
    assert set(table.rows[0].cells) == {"0.5", "0.9"}  # its average is over nine


def test_averages_layout_has_a_column_a_metric(grid):
    paths, values = grid
    table = build(spec(layout="averages", metrics=["OF1", "CF1"]), paths, "table3")
    assert [column.key for column in table.columns] == [
        *("OF1", "CF1", "OF1_best", "CF1_best")
    ]
    *_, paper, run = table.rows
    assert (paper.cells["OF1"].mean, paper.cells["CF1"].mean) == (77.9, 75.1)
    averages = [statistics.mean(values[p, s] for p in NINE) for s in range(3)]
    for metric, shift in (("OF1", -5), ("CF1", -8)):
        cell = run.cells[metric]
        assert cell.mean == pytest.approx(statistics.mean(averages) + shift)
        assert cell.std == pytest.approx(statistics.stdev(averages))


def test_another_data_set_is_not_mixed_up_with_the_papers(grid, tmp_path):
    paths = [
        *grid[0],
        *(write_run(tmp_path, "sarl", p, 0, 50.0, dataset="demo") for p in NINE),
    ]
    datasets = [
        {"name": "demo", "title": "Demo (COCO layout)", "published": "coco2014"},
        {"name": "own", "title": "My own"},
    ]
    table = build(spec(datasets=datasets), paths, "table2")
    titles = [row.dataset_title for row in table.rows]
    assert titles == ["MS-COCO (paper)"] * 8 + ["Demo (COCO layout)", "My own"]
    assert table.rows[8].cells["average"].mean == 50
    assert any("cannot be compared" in note for note in table.notes)


def test_several_metrics_are_several_rows(grid):
    table = build(spec(metrics=["mAP", "OF1"], seeds=[0]), grid[0])
    assert [row.metric for row in table.rows] == ["mAP", "OF1"]
    difference = table.rows[0].cells["0.9"].mean - table.rows[1].cells["0.9"].mean
    assert difference == pytest.approx(5)
    assert "| OF1 |" in table_formats.to_markdown(table)


def test_parameters_and_seconds_come_from_run_json(grid):
    changed = spec(columns=["parameters", "seconds"], published_methods=["Ours"])
    table = build(changed, grid[0], "table2", "parameters")
    assert [row.method for row in table.rows] == ["Ours", "sarl"]
    paper, run = table.rows
    assert paper.cells["parameters"].mean == 4.8e6
    assert run.cells["parameters"].mean == 4_635_137
    assert run.cells["seconds"].mean == pytest.approx(61.4)
    markdown = table_formats.to_markdown(table)
    assert "| 4.8 M |" in markdown
    assert "| 4.64 M | 61 s |" in markdown
    frame = table_formats.to_frame(table)
    assert list(frame["parameters"]) == [4_800_000, 4_635_137]
    grid[0][0].with_name("run.json").unlink()
    with pytest.raises(UserError, match=r"run\.json: No such file"):
        build(changed, grid[0])


# --- CSV, Markdown, LaTeX -------------------------------------------------------------


@pytest.fixture
def written(grid, tmp_path):
    """The files of a table with two methods, made by the command."""
    paths = [
        *grid[0],
        *(write_run(tmp_path, "sarl+loss=p_bce", p, 0, 60.0) for p in NINE),
    ]
    contents = {
        **{"title": "50 % & more_or_less", "layout": "proportions"},
        "datasets": [{"name": "coco2014", "title": "MS-COCO", "published": "coco2014"}],
        "methods": [
            {"name": "sarl", "title": "Ours"},
            {"name": "sarl+loss=p_bce", "title": "p_bce | x"},
        ],
        "proportions": NINE,
    }
    path = tmp_path / "spec.json"
    path.write_text(json.dumps(contents))
    arguments = [
        *("table", "--spec", str(path), "--output", str(tmp_path / "made/table2")),
        *("--published", str(PUBLISHED / "table2.csv")),
        *("--metrics", *map(str, paths)),
    ]
    assert main(arguments) == 0
    prefix = tmp_path / "made/table2"
    files = {s: prefix.with_suffix(f".{s}").read_text() for s in FORMATS}
    arguments[2] = json.dumps(contents)  # the spec itself instead of its file
    assert main(arguments) == 0
    for suffix, text in files.items():
        assert prefix.with_suffix(f".{suffix}").read_text() == text
    return files, grid[1]


def test_the_csv_holds_unrounded_numbers(written):
    files, values = written
    rows = list(csv.DictReader(files["csv"].splitlines()))
    assert len(rows) == 10
    assert list(rows[0])[:9] == [
        *("dataset", "dataset_title", "source", "reference", "method", "title"),
        *("metric", "epoch", "seeds"),
    ]
    assert list(rows[0])[9:13] == ["0.1", "0.1_sd", "0.2", "0.2_sd"]
    assert list(rows[0])[-4:] == [
        *("average", "average_sd", "average_best", "average_best_sd")
    ]
    assert rows[7]["method"] == "Ours"
    assert (rows[7]["0.8"], rows[7]["0.8_sd"]) == ("83.4", "0.1")
    run = rows[8]
    assert (run["source"], run["method"], run["seeds"]) == ("this run", "sarl", "3")
    mine = [values[0.8, s] for s in range(3)]
    assert float(run["0.8"]) == pytest.approx(statistics.mean(mine), abs=1e-12)
    assert float(run["0.8_sd"]) == pytest.approx(statistics.stdev(mine), abs=1e-12)
    assert rows[9]["0.8_sd"] == ""


def cells_of(line):
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def test_the_markdown_parses_into_the_same_numbers(written):
    files, values = written
    lines = files["md"].splitlines()
    assert lines[0] == "**50 % & more\\_or\\_less**"
    grid = [cells_of(line) for line in lines if line.startswith("|")]
    assert len({len(row) for row in grid}) == 1
    head, _, *body = grid
    assert head == [
        *("Data set", "Method", "Source", "Seeds"),
        *(f"{round(100 * p)} %" for p in NINE),
        *("Avg.", "Avg., best epoch"),
    ]
    assert [row[0] for row in body] == ["MS-COCO"] + [""] * 9
    assert body[0][4] == "62.4 ± 0.4"
    assert body[7][4] == "**78.3** ± 0.2"  # the paper's best, as the paper prints it
    assert body[9][1] == "p\\_bce \\| x"
    assert body[9][4] == "60.0"
    mine = [values[0.8, s] for s in range(3)]
    expected = f"**{statistics.mean(mine):.1f}** ± {statistics.stdev(mine):.1f}"
    assert body[8][head.index("80 %")] == expected


class Cells(HTMLParser):
    """The cells of a page's table, row by row, with bold as in Markdown."""

    def __init__(self):
        super().__init__()
        self.rows = []
        self.inside = False

    def handle_starttag(self, tag, attrs):
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
            self.inside = True
        elif tag == "b":
            self.rows[-1][-1] += "**"

    def handle_endtag(self, tag):
        if tag == "b":
            self.rows[-1][-1] += "**"
        elif tag in ("td", "th"):
            self.inside = False

    def handle_data(self, data):
        if self.inside:
            self.rows[-1][-1] += data


def test_the_html_has_the_cells_of_the_markdown(written):
    files, _ = written
    parser = Cells()
    parser.feed(files["html"])
    lines = [line for line in files["md"].splitlines() if line.startswith("|")]
    head, _, *body = map(cells_of, lines)
    plain = [[re.sub(r"\\([_|])", r"\1", cell) for cell in row] for row in body]
    assert parser.rows == [head, *plain]
    assert "<caption>50 % &amp; more_or_less</caption>" in files["html"]


def test_the_latex_parses_into_the_same_numbers(written):
    files, values = written
    text = files["tex"]
    assert r"\caption{50 \% \& more\_or\_less." in text
    assert r"\label{tab:table2}" in text
    assert not re.search(r"(?<!\\)%", text.split("\n", 1)[1].replace("{!}{%", ""))
    for name in ("table*", "tabular"):
        assert text.count(f"\\begin{{{name}}}") == text.count(f"\\end{{{name}}}") == 1
    assert text.count("{") - text.count(r"\{") == text.count("}") - text.count(r"\}")
    rules = re.search(r"\\begin\{tabular\}\{([lr]+)\}", text).group(1)
    lines = re.findall(r"^    (.*) \\\\$", text, flags=re.M)
    grid = [re.split(r"(?<!\\)&", line) for line in lines]
    assert {len(row) for row in grid} == {len(rules)}
    grid = [[cell.strip() for cell in row] for row in grid]
    assert grid[0][4] == r"10 \%"
    assert grid[1][4] == r"$62.4 \pm 0.4$"
    assert grid[8][4] == r"$\mathbf{78.3} \pm 0.2$"
    assert grid[10][1] == r"p\_bce | x"
    assert grid[10][4] == "$60.0$"
    mine = [values[0.1, s] for s in range(3)]
    mean, std = statistics.mean(mine), statistics.stdev(mine)
    assert grid[9][4] == rf"$\mathbf{{{mean:.1f}}} \pm {std:.1f}$"
    assert [
        text.count(rule) for rule in (r"\toprule", r"\midrule", r"\bottomrule")
    ] == [*(1, 1, 1)]


def test_equal_printed_values_are_both_best(tmp_path):
    paths = [
        write_run(tmp_path, "coop", 0.1, 0, 50.04),
        write_run(tmp_path, "sarl", 0.1, 0, 49.96),
        write_run(tmp_path, "coop_sd", 0.1, 0, 49.94),
    ]
    methods = [{"name": name} for name in ("coop", "sarl", "coop_sd")]
    table = build(spec(methods=methods, proportions=[0.1]), paths)
    assert {i for i, key in table_formats.best_cells(table) if key == "0.1"} == {0, 1}


# --- mistakes in a spec ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"colour": 1}, "'colour' was unexpected"),
        ({"layout": "rows"}, "layout: 'rows' is not one of"),
        ({"methods": []}, "methods:"),
        ({"datasets": [{"title": "x"}]}, "datasets: 0: 'name' is a required property"),
        ({"proportions": [1.5]}, "proportions: 0: 1.5 is greater than the maximum"),
        ({"metrics": ["F1"]}, "metrics: F1 is unknown; choose of mAP,"),
        (
            {"datasets": [{"name": "a", "published": "imagenet"}]},
            "no published number of imagenet fits the table",
        ),
    ],
)
def test_mistakes_in_a_spec_are_one_line(changes, message):
    with pytest.raises(UserError) as caught:
        build(spec(**changes), [], "table2")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_spec_that_is_no_json_is_refused(tmp_path, capsys):
    arguments = ["--output", str(tmp_path / "t")]
    assert main(["table", "--spec", "{no json", *arguments]) == 1
    assert "--spec: no valid JSON" in capsys.readouterr().err
    assert main(["table", "--spec", str(tmp_path / "none.json"), *arguments]) == 1
    assert "none.json: No such file" in capsys.readouterr().err
