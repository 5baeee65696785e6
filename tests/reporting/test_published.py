"""The published numbers, as the paper prints them."""

import re

import pandas as pd
import pytest

from mlrpl.errors import UserError
from mlrpl.reporting import published
from support.tables import PAPER_METHODS, PUBLISHED


def printed(name):
    return published.load_published([PUBLISHED / f"{name}.csv"])


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
        frame = published.load_published([path])
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


def test_printed_averages_of_rivals_are_means_of_their_rows_but_for_one():
    wrong = {}
    for (dataset, method), row in printed("rivals").groupby(["dataset", "method"]):
        cells = row[row["prop"] != "average"]["mean"]
        average = row[row["prop"] == "average"]["mean"].item()
        assert len(cells) == 9 and row["source"].str.contains("2206.09541").all()
        if abs(cells.mean() - average) > 0.05 + 1e-9:
            wrong[dataset, method] = round(cells.mean(), 1), average
    assert wrong == {("coco2014", "SARB on CLIP"): (79.5, 79.4)}


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
        published.load_published([path])
    assert "\n" not in str(caught.value)
