"""Tables as CSV, Markdown, HTML and LaTeX, read back."""

import csv
import json
import re
import statistics
from html.parser import HTMLParser

import pytest

from mlrpl.__main__ import main
from mlrpl.reporting import table_html, table_latex, table_markdown
from mlrpl.reporting.table_grid import (
    Grid,
    Group,
    Head,
    Line,
    Text,
    best_cells,
    to_grid,
)
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
            {"name": "sarl", "title": "SARL", "published": ["Ours"]},
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
    assert len(rows) == 11
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
    difference = rows[9]
    assert (difference["source"], difference["seeds"]) == ("difference", "")
    expected = statistics.mean(mine) - 83.4
    assert float(difference["0.8"]) == pytest.approx(expected, abs=1e-12)
    assert difference["0.8_sd"] == ""
    assert rows[10]["0.8_sd"] == ""


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
        *("Data set", "Source", "Method", "Seeds"),
        *(f"{round(100 * p)} %" for p in NINE),
        *("Avg.", "Avg., best epoch"),
    ]
    assert {row[0] for row in body} == {"MS-COCO"}
    assert [row[1] for row in body] == ["printed in the paper"] * 8 + ["this run"] * 3
    assert body[7][2] == "SARL"
    assert body[0][4] == "62.4 ± 0.4"
    assert body[7][4] == "**78.3** ± 0.2"  # the paper's best, as the paper prints it
    assert body[10][2] == "p\\_bce \\| x"
    assert body[10][4] == "60.0"
    mine = [values[0.8, s] for s in range(3)]
    expected = f"**{statistics.mean(mine):.1f}** ± {statistics.stdev(mine):.1f}"
    assert body[8][head.index("80 %")] == expected
    assert body[9][2:4] == ["run − paper", ""]
    difference = f"{statistics.mean(mine) - 83.4:+.1f}".replace("-", "−")
    assert body[9][head.index("80 %")] == difference
    notes = lines[-1]
    assert "Bold: the best of a column among the rows of one source and data" in notes
    assert "The paper prints SARL as Ours." in notes


class Page(HTMLParser):
    """A page's table: (classes, cells) of each row, with bold as in Markdown."""

    def __init__(self, text):
        super().__init__()
        self.rows = []
        self.cells = []  # (tag, attributes) of each cell
        self.inside = False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag == "tr":
            self.rows.append((dict(attrs).get("class"), []))
        elif tag in ("td", "th"):
            self.rows[-1][1].append("")
            self.cells.append((tag, dict(attrs)))
            self.inside = True
        elif tag == "b":
            self.rows[-1][1][-1] += "**"

    def handle_endtag(self, tag):
        if tag == "b":
            self.rows[-1][1][-1] += "**"
        elif tag in ("td", "th"):
            self.inside = False

    def handle_data(self, data):
        if self.inside:
            self.rows[-1][1][-1] += data


def test_the_html_has_the_cells_of_the_markdown(written):
    files, _ = written
    page = Page(files["html"])
    lines = [line for line in files["md"].splitlines() if line.startswith("|")]
    _, _, *body = map(cells_of, lines)
    plain = [[re.sub(r"\\([_|])", r"\1", cell) for cell in row] for row in body]
    found = [cells for kind, cells in page.rows[2:] if kind != "group"]
    assert found == [row[2:] for row in plain]
    assert "<title>50 % &amp; more_or_less</title>" in files["html"]


def test_rows_of_the_html_are_told_apart(written):
    page = Page(written[0]["html"])
    assert page.rows[0] == (
        *(None, ["Method", "Seeds", "Known labels", "Avg.", "Avg., best epoch"]),
    )
    assert page.rows[1] == (None, [f"{round(100 * p)} %" for p in NINE])
    kinds = [kind for kind, _ in page.rows[2:]]
    assert kinds == ["group", *[None] * 8, "group", *("own", "difference", "own")]
    titles = [cells for kind, cells in page.rows if kind == "group"]
    assert titles == [["MS-COCO: printed in the paper"], ["MS-COCO: this run"]]


def test_headings_of_the_html_are_aligned_as_their_numbers(written):
    cells = Page(written[0]["html"]).cells
    over = [attrs for tag, attrs in cells if attrs.get("scope") == "colgroup"]
    assert over == [{"class": "over", "scope": "colgroup", "colspan": "9"}]
    heads = [attrs.get("class") for _, attrs in cells if attrs.get("scope") == "col"]
    assert heads == [None, *["n"] * 12]
    numbers = [attrs.get("class") for tag, attrs in cells if tag == "td"]
    assert set(numbers) == {"n"}
    assert sum(attrs.get("scope") == "row" for _, attrs in cells) == 11


def test_a_page_is_a_part_of_another_one():
    grid = Grid("h2 & match2", [Head("h2")], [Group("", [Line([Text("a+b")])])])
    part = table_html.body_of(table_html.to_html(grid))
    assert part.startswith('<h4 class="title">h2 &amp; match2</h4>')
    assert "a<wbr>+b" in part and "<style>" not in part and "<body>" not in part


def latex_cells(text):
    """The cells of each line of a tabular that has no more columns than it says."""
    rules = re.search(r"\\begin\{tabular\}\{@\{\}([lr]+)@\{\}\}", text).group(1)
    lines = re.findall(r"^    (.*) \\\\$", text, flags=re.M)
    grid = [re.split(r"(?<!\\)&", line) for line in lines]
    for row in grid:
        spans = [int(n) for n in re.findall(r"\\multicolumn\{(\d+)\}", " ".join(row))]
        assert len(row) + sum(n - 1 for n in spans) == len(rules)
    return [[cell.strip() for cell in row] for row in grid]


def test_the_latex_parses_into_the_same_numbers(written):
    files, values = written
    text = files["tex"]
    assert r"\caption{50 \% \& more\_or\_less}" in text
    assert r"\label{tab:table2}" in text
    assert not re.search(r"(?<!\\)%(?!$)", text.split("\n", 1)[1], re.MULTILINE)
    for name in ("table*", "tabular", "minipage"):
        assert text.count(f"\\begin{{{name}}}") == text.count(f"\\end{{{name}}}") == 1
    assert text.count("{") - text.count(r"\{") == text.count("}") - text.count(r"\}")
    over, heads, group, *rows = latex_cells(text)
    assert over[2] == r"\multicolumn{9}{c}{Known labels}"
    assert r"\cmidrule(lr){3-11}" in text
    assert heads[2] == r"10 \%"
    assert group == [r"\multicolumn{13}{@{}l}{\textit{MS-COCO: printed in the paper}}"]
    assert rows[0][2] == r"$62.4_{\pm 0.4}$"
    assert rows[7][2] == r"$\mathbf{78.3}_{\pm 0.2}$"
    assert rows[8] == [r"\multicolumn{13}{@{}l}{\textit{MS-COCO: this run}}"]
    mine = [values[0.1, s] for s in range(3)]
    mean, std = statistics.mean(mine), statistics.stdev(mine)
    assert rows[9][2] == rf"$\mathbf{{{mean:.1f}}}_{{\pm {std:.1f}}}$"
    difference = f"{mean - 78.3:+.1f}".replace("-", "$-$")
    assert rows[10][0] == r"\quad\textit{run $-$ paper}"
    assert rows[10][2] == rf"\textit{{{difference}}}"
    assert rows[11][0] == r"p\_bce \textbar{} x"
    assert rows[11][2] == "60.0"
    assert [
        text.count(rule) for rule in (r"\toprule", r"\midrule", r"\bottomrule")
    ] == [*(1, 1, 1)]
    assert r"Mean $\pm$ sample standard deviation" in text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"a\b", r"a\textbackslash{}b"),
        ("50 % & $x$ #1 a_b", r"50 \% \& \$x\$ \#1 a\_b"),
        ("{~^}", r"\{\textasciitilde{}\textasciicircum{}\}"),
        (
            'say "x" `y` <|>',
            r"say ''x'' \textasciigrave{}y\textasciigrave{} \textless{}",
        ),
        ("a---b", "a-{}-{}-b"),
        ("two\nlines\x07", "two lines"),
        ("cafe\u0301", "café"),
    ],
)
def test_nothing_in_a_text_is_a_command_of_latex(text, expected):
    assert table_latex.escaped(text).startswith(expected)


def test_seeds_are_said_once_where_all_rows_have_as_many(grid):
    table = build(spec(), grid[0], "table2")
    made = to_grid(table)
    assert [group.parts[1] for group in made.groups] == [
        *("printed in the paper", "this run, 3 seeds")
    ]
    assert "Seeds" not in [head.text for head in made.heads]
    one = to_grid(build(spec(seeds=[0]), grid[0], "table2"))
    assert one.groups[-1].parts[1] == "this run, 1 seed"


def test_a_line_break_in_a_title_does_not_end_a_row_of_markdown(grid):
    table = build(spec(methods=[{"name": "sarl", "title": "a\nb"}]), grid[0])
    assert "| a b |" in table_markdown.to_markdown(to_grid(table))


def test_equal_printed_values_are_both_best(tmp_path):
    paths = [
        write_run(tmp_path, "coop", 0.1, 0, 50.04),
        write_run(tmp_path, "sarl", 0.1, 0, 49.96),
        write_run(tmp_path, "coop_sd", 0.1, 0, 49.94),
    ]
    methods = [{"name": name} for name in ("coop", "sarl", "coop_sd")]
    table = build(spec(methods=methods, proportions=[0.1]), paths)
    assert {i for i, key in best_cells(table) if key == "0.1"} == {0, 1}
