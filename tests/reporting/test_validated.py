"""The epoch that held-out images choose, in collected metrics and in tables."""

import json

import pandas as pd
import pytest

from mlrpl.errors import UserError
from mlrpl.evaluation.calibration import AT_THRESHOLDS, ECE
from mlrpl.reporting import results, table_formats
from support.synthetic_metrics import write_run
from support.tables import build, spec

PROPS = [0.1, 0.5]


@pytest.fixture
def paths(tmp_path):
    """Two methods; the last seed of `sarl` has no validation split."""
    found = []
    for method in ("coop", "sarl"):
        for prop in PROPS:
            for seed in range(3):
                path = write_run(tmp_path, method, prop, seed, 60 + seed, 64 + seed)
                if (method, seed) != ("sarl", 2):
                    give_validated(path, 62 + 10 * prop * seed)
                found.append(path)
    return found


def give_validated(path, value):
    metrics = json.loads(path.read_text())
    metrics["validated"] = {**metrics["last"], "epoch": 7, "mAP": value}
    metrics["per_class_ap"]["validated"] = {"zebra": 81.5, "apple": None}
    both = {name: 50.0 + i for i, name in enumerate(AT_THRESHOLDS)}
    metrics["calibration"] = {
        "last": {ECE: 3.5, **both},
        "best": {ECE: 4.5},
        "validated": {ECE: 5.5, **both},
    }
    path.write_text(json.dumps(metrics))


def test_collected_metrics_have_rows_for_it(paths):
    frame = results.load_metrics(paths)
    counts = frame.groupby(["method", "epoch"]).size()
    assert counts["sarl"].to_dict() == {"best": 6, "last": 6, "validated": 4}
    row = frame[(frame["epoch"] == "validated") & (frame["seed"] == 1)].iloc[0]
    assert (row["epoch_number"], row["mAP"], row[ECE]) == (7, 63, 5.5)
    assert row["OF1_single"] == 50 and row["CF1_per_class"] == 53
    best = frame[frame["epoch"] == "best"].iloc[0]
    assert best[ECE] == 4.5 and pd.isna(best["OF1_single"])
    assert list(frame.columns[-5:]) == [ECE, *AT_THRESHOLDS]
    classes = results.per_class(paths)
    assert classes[classes["epoch"] == "validated"]["ap"].max() == 81.5


def test_a_column_says_what_the_choice_on_the_test_set_is_worth(paths):
    """Best minus validated, of the seeds and proportions that have both."""
    methods = [{"name": "coop"}, {"name": "sarl"}]
    table = build(spec(methods=methods, proportions=PROPS), paths)
    frame = table_formats.to_frame(table).set_index("method")
    # Seed by seed over 10 and 50 %: 64 + s - (62 + 3 s).
    assert frame.loc["coop", "average_worth"] == pytest.approx((2 + 0 - 2) / 3)
    assert frame.loc["sarl", "average_worth"] == pytest.approx((2 + 0) / 2)
    assert table.columns[-1].heading == "Avg., best minus validated epoch"
    assert any("choice on the test set is worth" in note for note in table.notes)


def test_averages_have_one_for_each_metric(paths):
    changes = {"layout": "averages", "metrics": ["mAP", "OF1"]}
    table = build(spec(proportions=PROPS, **changes), paths)
    assert [column.key for column in table.columns] == [
        *("mAP", "OF1", "mAP_best", "OF1_best", "mAP_worth", "OF1_worth")
    ]


def test_it_can_fill_a_table(paths):
    table = build(spec(proportions=PROPS, epoch="validated"), paths)
    [row] = table.rows
    assert row.cell("0.5").mean == pytest.approx((62 + 67) / 2) and row.seeds == "2"
    assert row.cell("average_best").mean == pytest.approx(65)
    assert any("best mAP on held-out training images" in n for n in table.notes)


def test_without_one_tables_are_as_they_were(tmp_path):
    path = write_run(tmp_path, "sarl", 0.5, 0, 60, 62)
    table = build(spec(proportions=[0.5]), [path])
    assert [column.key for column in table.columns] == [
        "0.5",
        "average",
        "average_best",
    ]
    assert not any("held-out" in note for note in table.notes)
    assert ECE not in results.load_metrics([path])


def test_calibration_can_be_a_tables_metric(paths):
    table = build(spec(proportions=PROPS, metrics=[ECE], seeds=[0, 1]), paths)
    assert table.rows[0].cell("0.1").mean == 3.5


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ({"validated": 5}, "its validated is 5, no mapping; make the file"),
        ({"validated": {"epoch": 7}}, "has no validated.mAP; make the file"),
        ({"calibration": []}, "its calibration is [], no mapping"),
        ({"calibration": {"last": 3}}, "its calibration.last is 3, no mapping"),
        ({"calibration": {"last": {ECE: "x"}}}, 'calibration.last.ECE is "x", no numb'),
    ],
)
def test_damaged_parts_are_named(paths, damage, said):
    metrics = json.loads(paths[0].read_text())
    paths[0].write_text(json.dumps(metrics | damage))
    with pytest.raises(UserError) as error:
        results.load_metrics(paths)
    assert f"{paths[0]}: " in str(error.value) and said in str(error.value)
