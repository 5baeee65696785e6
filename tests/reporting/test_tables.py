"""The contents of a table, and mistakes in its spec."""

import html
import json
import statistics

import pandas as pd
import pytest

from mlrpl.__main__ import main
from mlrpl.errors import UserError
from mlrpl.reporting import table_formats, table_html, table_latex, table_markdown
from mlrpl.reporting.table_grid import to_grid
from support.synthetic_metrics import write_run
from support.tables import NINE, PAPER_METHODS, build, spec


def markdown(table):
    return table_markdown.to_markdown(to_grid(table))


def ours(table):
    return [row for row in table.rows if row.source == "this run"]


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
    assert "| MS-COCO | this run | SARL |  |  |" in table_markdown.to_markdown(
        to_grid(table)
    )


def test_the_papers_rows_stand_first_as_printed(grid):
    table = build(spec(), grid[0], "table2")
    assert [row.method for row in table.rows] == [*PAPER_METHODS, "sarl", "sarl"]
    assert [row.source for row in table.rows[-2:]] == ["this run", "difference"]
    assert [row.title for row in table.rows[6:9]] == ["DSRB", "SARL", "SARL"]
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
    *_, paper, run, difference = table.rows
    assert (paper.cells["OF1"].mean, paper.cells["CF1"].mean) == (77.9, 75.1)
    averages = [statistics.mean(values[p, s] for p in NINE) for s in range(3)]
    for metric, shift in (("OF1", -5), ("CF1", -8)):
        cell = run.cells[metric]
        assert cell.mean == pytest.approx(statistics.mean(averages) + shift)
        assert cell.std == pytest.approx(statistics.stdev(averages))
        expected = cell.mean - paper.cells[metric].mean
        assert difference.cells[metric].mean == pytest.approx(expected)


def test_a_difference_stands_below_what_the_paper_prints_too(grid):
    """Of each number that both have, unrounded, and of no other method."""
    methods = [
        {"name": "sarl", "title": "SARL", "published": ["Ours"]},
        {"name": "sarl+loss=p_bce", "published": ["Ours+loss=p_bce"]},
    ]
    table = build(spec(methods=methods), grid[0], "table2")
    (row,) = [row for row in table.rows if row.source == "difference"]
    values = [grid[1][0.1, s] for s in range(3)]
    assert row.cells["0.1"].mean == pytest.approx(statistics.mean(values) - 78.3)
    assert pd.isna(row.cells["0.1"].std)
    assert pd.isna(row.cells["average_best"].mean)
    assert (row.method, row.seeds) == ("sarl", "")
    assert row.reference == "arXiv 2412.10843 Table 2"
    frame = table_formats.to_frame(table)
    line = frame[frame["source"] == "difference"].iloc[0]
    assert line["0.1"] == pytest.approx(statistics.mean(values) - 78.3)
    said = "Differences are this run's mean minus the paper's number."
    assert said in table.notes
    assert said not in build(spec(methods=methods[1:]), grid[0], "table2").notes


def test_nothing_is_subtracted_from_numbers_of_other_data(tmp_path):
    path = write_run(tmp_path, "sarl", 0.1, 0, 50.0, dataset="demo")
    datasets = [{"name": "demo", "published": "coco2014"}]
    table = build(spec(datasets=datasets), [path], "table2")
    assert {row.source for row in table.rows} == {"paper", "this run"}


OWN = {"published_proportions": False}


@pytest.mark.parametrize(
    ("title", "props", "changes", "expected"),
    [
        ("T", NINE, {}, "T"),
        ("T", [0.9, 0.1], {}, "T"),  # the paper's columns are there
        ("T", [0.9, 0.1], OWN, "T, at 10 and 90 % known labels"),
        ("mAP at $proportions", NINE, {}, "mAP at 10 % to 90 %"),
        ("mAP at $proportions", [0.5], OWN, "mAP at 50 %"),
        ("mAP at $proportions", [0.1, 0.5, 0.75], OWN, "mAP at 10, 50 and 75 %"),
        ("mAP at $proportions", [0.2, 0.4, 0.6, 0.8], OWN, "mAP at 20 % to 80 %"),
    ],
)
def test_a_title_says_which_proportions_are_shown(title, props, changes, expected):
    table = build(spec(title=title, proportions=props, **changes), [], "table2")
    assert table.title == expected


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


SYSTEMS = ["SSGRL", "GCN-ML", "KGGR", "SST", "HST", "SARB", "DSRB"]


def test_a_systems_row_stands_beside_its_printed_one(grid, tmp_path):
    """Three proportions and one seed of it, nine and three of ours."""
    sst = {p: write_run(tmp_path, "sst", p, 0, 40 + p) for p in (0.1, 0.5, 0.9)}
    methods = [
        {"name": "sst", "title": "SST", "published": ["SST"], "recipe": "published"},
        {"name": "sarl", "title": "SARL", "published": ["Ours"]},
    ]
    table = build(spec(methods=methods), [*grid[0], *sst.values()], "table2")
    printed = [row for row in table.rows if row.source == "paper"]
    assert [row.method for row in printed] == PAPER_METHODS
    system, own = ours(table)
    assert [row.source for row in table.rows[8:]] == ["this run", "difference"] * 2
    assert (system.title, own.title) == ("SST", "SARL")
    assert {key: cell.mean for key, cell in system.cells.items() if len(key) == 3} == {
        str(p): 40 + p for p in sst
    }
    assert pd.isna(system.cells["average"].mean) and system.seeds == "1"
    assert own.cells["average"].mean > 60 and own.seeds == "3"
    for text in (
        markdown(table),
        table_html.to_html(to_grid(table)),
    ):
        row = next(line for line in text.splitlines() if "40.1" in line)
        assert all(number in row for number in ("SST", "40.5", "40.9"))


def test_what_sets_printed_rows_apart_is_said_in_every_format(grid):
    methods = [
        {"name": "sst", "title": "SST", "recipe": "published"},
        {"name": "hst", "recipe": "tuned"},
        {"name": "sarl", "title": "SARL", "published": ["Ours"]},
    ]
    table = build(spec(methods=methods), grid[0], "table2")
    said = [
        f"Rows of the paper of {', '.join(SYSTEMS)}: public code tunes an ImageNet "
        "backbone too.",
        "This run's rows are heads on the same frozen image features, with the same "
        "known labels for every method.",
        "Rates and epochs of this run's SST: recipe published of the configuration.",
        "Rates and epochs of this run's hst: recipe tuned of the configuration.",
    ]
    assert table.notes[-4:] == said
    assert " ".join(said) in markdown(table)
    assert said[0] in table_latex.to_latex(to_grid(table), "t")
    assert html.escape(said[1]) in table_html.to_html(to_grid(table))


def test_only_what_is_shown_is_noted(grid):
    table = build(spec(published_methods=["SST", "Ours"]), grid[0], "table2")
    noted = [note for note in table.notes if "ImageNet" in note]
    assert noted == [
        "Rows of the paper of SST: public code tunes an ImageNet backbone too."
    ]
    table = build(spec(published_methods=["Ours"]), grid[0], "table2")
    assert not any("ImageNet" in n or "frozen" in n for n in table.notes)
    table = build(spec(proportions=[0.5]), grid[0], "table4")
    assert not any("ImageNet" in n or "frozen" in n for n in table.notes)


def test_several_metrics_are_several_rows(grid):
    table = build(spec(metrics=["mAP", "OF1"], seeds=[0]), grid[0])
    assert [row.metric for row in table.rows] == ["mAP", "OF1"]
    difference = table.rows[0].cells["0.9"].mean - table.rows[1].cells["0.9"].mean
    assert difference == pytest.approx(5)
    assert "| OF1 |" in markdown(table)


def test_parameters_and_seconds_come_from_run_json(grid):
    changed = spec(columns=["parameters", "seconds"], published_methods=["Ours"])
    table = build(changed, grid[0], "table2", "parameters")
    paper, run, _ = table.rows
    assert paper.cells["parameters"].mean == 4.8e6
    assert run.cells["parameters"].mean == 4_635_137
    assert run.cells["seconds"].mean == pytest.approx(61.4)
    text = markdown(table)
    assert "| 4.8 M |" in text
    assert "| 4.64 M | 61 s |" in text
    assert "Training time and memory are means over the runs of a row." in text
    frame = table_formats.to_frame(table)
    assert list(frame["parameters"])[:2] == [4_800_000, 4_635_137]
    grid[0][0].with_name("run.json").unlink()
    with pytest.raises(UserError, match=r"run\.json: No such file"):
        build(changed, grid[0])


def test_cost_is_what_run_json_has_of_it(grid):
    paths, _ = grid
    for path, peak in zip(paths, range(27), strict=True):
        run = json.loads(path.with_name("run.json").read_text())
        run["memory"] = {"host": 2e9, "device": 3e9 + peak * 1e9}
        path.with_name("run.json").write_text(json.dumps(run))
    table = build(spec(cost=True), paths, "table2")
    assert [column.key for column in table.columns[-2:]] == ["seconds", "memory"]
    (row,) = ours(table)
    assert row.cells["seconds"].mean == pytest.approx(61.4)
    assert row.cells["memory"].mean == pytest.approx(16e9)
    assert "| 61 s | 16.00 GB |" in markdown(table)
    frame = table_formats.to_frame(table)
    assert list(frame)[-2:] == ["seconds", "memory"]


def test_cost_that_was_not_recorded_is_empty(grid):
    paths, _ = grid
    paths[0].with_name("run.json").unlink()
    for path in paths[1:]:
        path.with_name("run.json").write_text('{"seconds": {"load": 1}}')
    table = build(spec(cost=True), paths, "table2")
    assert table.columns[-1].key == "average_best"
    assert "These runs did not record their peak memory." in table.notes
    memory = {"seconds": {"load": 1}, "memory": 5e9}
    paths[1].with_name("run.json").write_text(json.dumps(memory))
    table = build(spec(cost=True), paths, "table2")
    assert [column.key for column in table.columns[-2:]] == ["average_best", "memory"]
    assert "These runs did not record their time." in table.notes


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"colour": 1}, "'colour' was unexpected"),
        ({"layout": "rows"}, "layout: 'rows' is not one of"),
        ({"methods": []}, "methods:"),
        ({"datasets": [{"title": "x"}]}, "datasets: 0: 'name' is a required property"),
        ({"proportions": [1.5]}, "proportions: 0: 1.5 is greater than the maximum"),
        ({"metrics": ["F1"]}, "metrics: F1 is unknown; choose from mAP,"),
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
    assert "--spec: is not valid JSON" in capsys.readouterr().err
    assert main(["table", "--spec", str(tmp_path / "none.json"), *arguments]) == 1
    assert "none.json: No such file" in capsys.readouterr().err
