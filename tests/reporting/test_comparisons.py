"""`mlrpl compare`: its files, what they say of seeds, and two folders of results."""

import csv
import json
import re

import numpy as np
import pytest
import scipy.stats

from mlrpl.__main__ import main
from mlrpl.statistics.comparisons import compare
from mlrpl.statistics.grids import grids
from mlrpl.statistics.run_folders import load_runs
from support import score_runs

FEW = ["--resamples", "300"]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    score_runs.write(folder, "coop", 0.33, seeds=range(8), noise=0.7)
    score_runs.write(folder, "sarl", 0.36, seeds=range(8), noise=0.7)
    score_runs.write(folder, "sarl+loss=p_bce", 0.6)
    score_runs.write(folder, "hst", 0.4, seeds=(0,))
    return folder


def run(results, *words, methods=("coop", "sarl", "sarl+loss=p_bce", "hst")):
    places = [str(results / f"runs/set/{name}") for name in methods]
    return main(["compare", *places, *words])


def rows_of(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_the_files_have_the_same_numbers(results, tmp_path, capsys):
    called = {"coop": "CoOp", "sarl+loss=p_bce": "Ours, P-BCE", "set": "The Set"}
    titles = ["--titles", json.dumps(called)]
    words = ["--against", "coop", *FEW, "--metric", "mAP", "CF1", *titles]
    assert run(results, *words, "--output", str(tmp_path / "new/out")) == 0
    text = (tmp_path / "new/out.md").read_text()
    assert capsys.readouterr().out == text
    rows = rows_of(tmp_path / "new/out.csv")
    found = json.loads((tmp_path / "new/out.json").read_text())
    assert found["level"] == 0.95 and found["resamples"] == 300
    assert len(rows) == len(found["comparisons"]) == 3 * 3 * (1 + 3 + 1)
    for row, other in zip(rows, found["comparisons"], strict=True):
        assert {k: "" if v is None else str(v) for k, v in other.items()} == row
    runs = grids(load_runs([results / "runs"], "last", 300, {}))
    [expected] = [
        r
        for r in compare(runs, "coop", ["CF1"])
        if (r.method, r.prop) == ("sarl+loss=p_bce", "0.5")
    ]
    [row] = [
        r
        for r in rows
        if (r["method"], r["prop"], r["metric"]) == ("sarl+loss=p_bce", "0.5", "CF1")
    ]
    assert float(row["difference"]) == expected.difference.value
    assert float(row["low"]) == expected.difference.low
    assert (row["interval"], row["seeds"], row["p"]) == ("BCa", "0 1 2", "")
    cell = f"{expected.difference.value:+.2f} [{expected.difference.low:.2f}, "
    [line] = re.findall(r"\| The Set \| Ours, P-BCE \| .*", text.split("## CF1")[1])
    assert cell in line
    assert "# Differences to CoOp\n" in text


def test_classes_have_a_file_of_their_own(results, tmp_path):
    words = ["--against", "coop", *FEW, "--output", str(tmp_path / "out")]
    assert run(results, *words, methods=("coop", "hst")) == 0
    rows = rows_of(tmp_path / "out_classes.csv")
    assert [row["classes"] for row in rows[:6]] == list(score_runs.CLASSES)
    assert {row["metric"] for row in rows} == {"AP"}
    assert {row["prop"] for row in rows} == {"0.1", "0.5", "average"}


@pytest.mark.parametrize(
    ("methods", "said", "unsaid"),
    [
        (
            ("coop", "sarl"),
            ["The intervals are BCa.", "p is the larger one", "cannot go below 0.016"],
            ["Nothing is called significant"],
        ),
        (
            ("coop", "sarl+loss=p_bce"),
            [
                "Nothing is called significant with fewer than 6 seeds. Of 3 seeds an "
                "exact sign-flip test cannot go below p = 0.25.",
            ],
            ["p is the larger one", "p = 0.0"],
        ),
        (
            ("coop", "hst"),
            ["one seed an interval is of the test images alone", "Nothing is called"],
            ["sign-flip"],
        ),
    ],
    ids=["eight seeds", "three", "one"],
)
def test_what_is_said_of_so_many_seeds(results, tmp_path, methods, said, unsaid):
    words = ["--against", "coop", *FEW, "--output", str(tmp_path / "out")]
    assert run(results, *words, methods=methods) == 0
    text = (tmp_path / "out.md").read_text()
    assert all(part in text for part in said), text
    assert not any(part in text for part in unsaid), text
    numbers = [row["p"] != "" for row in rows_of(tmp_path / "out.csv")]
    assert any(numbers) == (methods == ("coop", "sarl"))


def test_resamples_that_are_there_are_read(results, tmp_path, capsys):
    """A file that is newer than the scores; an older one is made again."""
    folder = results / "runs/set/hst/prop=0.5/seed=0"
    made = folder / "resamples_last.h5"
    words = ["resample", "--dataset", "set", "--method", "hst", "--prop", "0.5"]
    words += ["--seed", "0", "--scores", str(folder / "scores.h5")]
    words += ["--index", str(results / "data/set/test.h5"), *FEW]
    assert main([*words, "--output", str(made)]) == 0
    try:
        arguments = ["--against", "coop", *FEW, "--output", str(tmp_path / "out")]
        assert run(results, *arguments, methods=("coop", "hst")) == 0
        before = (tmp_path / "out.csv").read_text()
        content = made.read_bytes()
        made.unlink()
        assert run(results, *arguments, methods=("coop", "hst")) == 0
        assert (tmp_path / "out.csv").read_text() == before
        made.write_bytes(content[:100])
        assert run(results, *arguments, methods=("coop", "hst")) == 1
        assert "not a whole file of resamples" in capsys.readouterr().err
    finally:
        made.unlink()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--against", "none"], "--against none: there is no run of it"),
        ([], "give RUN ... --against METHOD, or --runs A B"),
        (["--against", "coop", "--runs", "a", "b"], "--runs: takes two folders alone"),
        (["--against", "coop", "--resamples", "5"], "--resamples: 5 is not allowed"),
        (["--against", "coop", "--level", "95"], "--level: 95.0 is not allowed"),
        (["--against", "coop", "--index", "set"], "--index: set is not DATASET=PATH"),
        (["--against", "coop", "--index", "set=gone"], "test images is not at gone;"),
        (["--against", "coop", "--titles", "a=b"], "--titles: is not JSON (Expecting"),
        (["--against", "coop", "--titles", "[1]"], "--titles: is no object of texts"),
        (["--against", "coop", "--metric", "AP"], "metric AP: has no resamples; choos"),
    ],
)
def test_mistakes_are_one_line(results, tmp_path, capsys, words, said):
    small = [] if "--resamples" in words else FEW
    assert run(results, *words, *small, "--output", str(tmp_path / "out")) == 1
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1
    assert not list(tmp_path.iterdir())


# ----------------------------------------------------------------- two folders of resul


def reruns(first, second, tmp_path, *words):
    output = ["--output", str(tmp_path / "out"), *words]
    status = main(["compare", "--runs", str(first), str(second), *output])
    return status, rows_of(tmp_path / "out.csv") if status == 0 else []


def test_a_rerun_is_equal_explained_or_beyond(tmp_path, capsys):
    first, second = tmp_path / "first", tmp_path / "second"
    score_runs.write(first, "coop", 0.3)
    score_runs.write(second, "coop", 0.3)
    score_runs.write(first, "sarl", 0.5, seeds=(1, 3, 4))
    score_runs.write(second, "sarl", 0.5, seeds=(6, 7, 8))
    score_runs.write(first, "hst", 0.3)
    score_runs.write(second, "hst", 0.6)
    score_runs.write(second, "sst", 0.6, seeds=(0,))
    status, rows = reruns(first, second, tmp_path, "--metric", "mAP", "OF1")
    assert status == 0
    verdicts = {(row["method"], row["verdict"]) for row in rows}
    expected = {("coop", "equal"), ("sarl", "explained"), ("hst", "beyond")}
    assert verdicts == expected
    said = capsys.readouterr().out
    assert (
        "Of 12 numbers (means over the seeds) 4 are equal to the bit, 4 differ" in said
    )
    assert "2 settings are in one of the two alone." in said
    assert said == (tmp_path / "out.md").read_text()
    # By SciPy, for one of them.
    frames = [
        [
            json.loads(path.read_text())["last"]["mAP"]
            for path in sorted(
                (folder / "runs/set/sarl/prop=0.1").rglob("metrics.json")
            )
        ]
        for folder in (first, second)
    ]
    p = scipy.stats.ttest_ind(*frames).pvalue
    [row] = [
        r
        for r in rows
        if (r["method"], r["prop"], r["metric"]) == ("sarl", "0.1", "mAP")
    ]
    assert float(row["difference"]) == np.mean(frames[1]) - np.mean(frames[0])
    assert float(row["p_holm"]) == pytest.approx(min(1, p * 8), rel=0.5)
    assert row["seeds"] == "3 3"


def test_one_seed_takes_the_deviation_of_other_proportions(tmp_path, capsys):
    first, second = tmp_path / "first", tmp_path / "second"
    for folder, strength in ((first, 0.3), (second, 0.31)):
        score_runs.write(folder, "coop", strength, props=(0.1,))
        score_runs.write(folder, "coop", strength, props=(0.5,), seeds=(7,))
        score_runs.write(folder, "hst", strength, seeds=(7,))
    _, rows = reruns(first, second, tmp_path)
    found = {(row["method"], row["prop"]): row for row in rows}
    assert found["coop", "0.5"]["deviation"] == found["coop", "0.1"]["deviation"] != ""
    assert {found["hst", p]["verdict"] for p in ("0.1", "0.5")} == {"unknown"}
    assert "2 differ and have one seed in each folder" in capsys.readouterr().out


def test_folders_without_results_or_with_others_are_one_line(tmp_path, capsys):
    score_runs.write(tmp_path / "first", "coop", 0.3, seeds=(0,))
    score_runs.write(tmp_path / "second", "sarl", 0.3, seeds=(0,))
    (tmp_path / "empty").mkdir()
    cases = [
        ("first", "empty", "empty: no metrics.json is in it"),
        ("first", "second", "second: has no setting of "),
    ]
    for first, second, said in cases:
        assert reruns(tmp_path / first, tmp_path / second, tmp_path)[0] == 1
        error = capsys.readouterr().err
        assert said in error and error.count("\n") == 1
    words = ["--metric", "AP"]
    assert reruns(tmp_path / "first", tmp_path / "first", tmp_path, *words)[0] == 1
    assert "--metric: AP is unknown; choose from mAP" in capsys.readouterr().err
