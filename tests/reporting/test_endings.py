"""The last lines on the terminal."""

from pathlib import Path

import pytest

from mlrpl.config.files import load_config
from mlrpl.config.validation import validate
from mlrpl.reporting import endings
from support.synthetic_metrics import write_run


@pytest.fixture
def config(repository, tmp_path):
    loaded = load_config([], [f"results={tmp_path}"], base=repository / "config.yaml")
    return validate(loaded)


def write(folder, values) -> list[str]:
    """Write runs by (data set, method, proportion, seed); return their names."""
    for (dataset, method, prop, seed), value in values.items():
        write_run(folder, method, prop, seed, value, dataset=dataset)
    return [f"{d}/{m}/prop={p}/seed={s}" for d, m, p, s in values]


def test_methods_by_data_sets_over_what_all_share(config, tmp_path):
    runs = write(
        tmp_path,
        {
            ("coco2014", "sarl", 0.1, 0): 70.0,
            ("coco2014", "sarl", 0.1, 1): 72.0,
            ("coco2014", "sarl", 0.5, 0): 80.0,
            ("coco2014", "sarl", 0.9, 0): 99.0,
            ("coco2014", "coop", 0.1, 0): 60.0,
            ("coco2014", "coop", 0.5, 0): 65.0,
            ("coco2014", "sarl+gamma_neg=4", 0.5, 0): 1.0,
            ("voc2007", "sarl", 0.5, 0): 90.0,
        },
    )
    missing = "voc2007/coop/prop=0.5/seed=0"
    lines = endings.success(config, [*runs, missing]).splitlines()
    assert lines[1:5] == [
        "mAP (%)  MS-COCO  Pascal VOC",
        f"CoOp        {(60 + 65) / 2:.1f}           -",
        f"SARL        {((70 + 72) / 2 + 80) / 2:.1f}        90.0",
        "Mean over the known labels that all share (MS-COCO: 10, 50 %; Pascal VOC: 50 "
        "%).",
    ]


def test_the_places_of_what_is_there(config, tmp_path):
    for name in ("tables/table2.md", "tables/metrics.csv", "figures/figure4.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert endings.success(config, []).splitlines() == [
        f"Tables     {tmp_path}/tables/  table2.md, metrics.csv",
        f"Figures    {tmp_path}/figures/  figure4.png",
    ]


@pytest.mark.parametrize(
    ("log", "line"),
    [
        (
            "a\nmlrpl train: error: v.npy: is short; remake it\n",
            "mlrpl train: error: v",
        ),
        ("mlrpl glove: error: first\nwarning: later\n", "mlrpl glove: error: first"),
        ("Traceback\n  ...\nKeyError: 'x'\n\n", "KeyError: 'x'"),
        ("", ""),
        (None, ""),
    ],
)
def test_the_errors_own_line(tmp_path, log, line):
    path = tmp_path / "train.log"
    if log is not None:
        path.write_text(log)
    said = endings.failure("train", {"dataset": "mine", "seed": "0"}, [str(path)])
    first, second, *last = said.splitlines()
    assert first == "Failed: rule train (dataset=mine, seed=0)"
    assert second == f"  log: {path}"
    assert [text.strip() for text in last] == ([] if not line else last_of(log, line))


def last_of(log: str, start: str) -> list[str]:
    return [text for text in log.splitlines() if text.startswith(start)]


def test_others_that_failed_are_counted():
    said = endings.failure("table2", {}, [], more=3)
    assert said.splitlines() == ["Failed: rule table2", "  and 3 more, above"]
    assert endings.error_line(str(Path("no/such.log"))) == ""
