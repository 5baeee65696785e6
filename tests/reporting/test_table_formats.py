"""Tables as CSV, Markdown, HTML and LaTeX, read back."""

import csv
import json
import re
import statistics
from html.parser import HTMLParser

import pytest

from mlrpl.__main__ import main
from mlrpl.reporting import table_formats
from support.synthetic_metrics import write_run
from support.tables import NINE, PUBLISHED, build, spec

FORMATS = ("csv", "md", "tex", "html")


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
