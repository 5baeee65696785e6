"""Examples of a figure: which images, which errors, and what is said of them."""

import json

import numpy as np
import pytest
import torch

from mlrpl.__main__ import main
from mlrpl.data.index import Index
from mlrpl.prediction.choice import Choice, confident_errors, drawn
from mlrpl.prediction.encoders import load_encoder
from mlrpl.prediction.examples import Examples
from mlrpl.prediction.saved import load_trained
from mlrpl.prediction.scoring import score_pictures
from support.data_files import fails

pytestmark = pytest.mark.usefixtures("one_thread")


def index_of(labels) -> Index:
    labels = np.asarray(labels, np.int8)
    images = tuple(f"a/{row}.jpg" for row in range(len(labels)))
    classes = tuple(f"c{c}" for c in range(labels.shape[1]))
    return Index("d", "test", classes, images, labels)


def test_images_with_enough_labels_are_drawn_from_the_seed():
    random = np.random.default_rng(0)
    index = index_of(np.where(random.random((40, 6)) < 0.4, 1, -1))
    enough = np.flatnonzero((index.labels > 0).sum(axis=1) >= 3)
    rows = drawn(index, Choice(count=5, labels=3))
    assert len(set(rows)) == 5 and set(rows) <= set(enough)
    assert rows == drawn(index, Choice(count=5, labels=3))
    assert rows[:2] == drawn(index, Choice(count=2, labels=3))
    assert rows != drawn(index, Choice(count=5, labels=3, seed=1))
    everything = drawn(index, Choice(count=len(enough), labels=3))
    assert sorted(everything) == sorted(enough)


def test_where_too_few_have_enough_labels_the_fullest_come_after_them():
    index = index_of([[1, -1, -1], [1, 1, 1], [-1, -1, -1], [1, 1, -1], [1, 1, 1]])
    rows = drawn(index, Choice(count=4, labels=3))
    assert set(rows[:2]) == {1, 4} and rows[2:] == [3, 0]


def test_named_images_are_shown_in_their_order():
    index = index_of(np.ones((12, 2)))
    choice = Choice(names={"d": ["a/3.jpg", "1.jpg"], "other": ["x"]})
    assert drawn(index, choice) == [3, 1]
    for name in ("12.jpg", "jpg", "/1.jpg"):
        wrong = Choice(names={"d": [name]})
        fails(drawn, index, wrong, match="is the name of 0 test images")


def test_confident_errors_are_the_most_extreme_scores():
    labels = np.array([[1, -1, 0], [-1, 1, -1], [1, 1, -1], [-1, -1, 1]])
    ranking = np.array(
        [[-3.0, 4.0, 9.0], [2.0, -1.0, -5.0], [-2.0, 1.0, 3.5], [1.0, 0.5, -4.0]]
    )
    # Wrong: (0,1) 4, (2,2) 3.5, (1,0) 2, (3,0) 1, (3,1) 0.5. Missed: (3,2) -4,
    # (0,0) -3, (2,0) -2, (1,1) -1. What is unknown is neither, however sure.
    assert confident_errors(ranking, labels, 4, 0.0) == [(0, 1), (2, 2), (3, 2), (1, 1)]
    assert confident_errors(ranking, labels, 1, 0.0) == [(0, 1)]
    # Each image once, and in each half each class once.
    found = confident_errors(ranking, labels, 8, 0.0)
    assert found == [(0, 1), (2, 2), (1, 0), (3, 2)]
    # Of a higher threshold fewer are said to be there, and more are missed.
    assert confident_errors(ranking, labels, 2, 3.9) == [(0, 1), (3, 2)]
    assert confident_errors(np.where(labels > 0, 1.0, -1.0), labels, 4, 0.0) == []


def make(small, kind, runs, output, **choice) -> int:
    data = small.results / "data/small"
    words = ["examples", kind, "--runs", *(small.train(run) for run in runs)]
    words += ["--index", data / "test.h5", "--images", small.folder / "pictures"]
    words += ["--features", small.results / "features/small/test/0.h5"]
    words += ["--choice", json.dumps(choice), "--output", output]
    return main(list(map(str, words)))


def test_examples_have_what_the_runs_say_of_the_pictures(small, tmp_path):
    """Probabilities as the run has them, maps as `predict` makes them."""
    runs = ["sarl", "ssgrl"]
    made = [tmp_path / name for name in ("examples.h5", "again.h5")]
    for output in made:
        assert make(small, "attention", runs, output, count=3, labels=1) == 0
    assert made[0].read_bytes() == made[1].read_bytes()
    found = Examples.load(made[0])
    index = Index.load(small.results / "data/small/test.h5")
    assert [run["method"] for run in found.runs] == runs
    assert [row.run for row in found.rows] == [0, 1] * 3
    rows = drawn(index, Choice(count=3, labels=1))
    names = [index.images[row] for row in rows]
    assert [row.name for row in found.rows] == [n for n in names for _ in runs]
    for number, run in enumerate(runs):
        trained = load_trained(small.run(run))
        paths = [str(small.folder / "pictures" / name) for name in names]
        scored = score_pictures(
            *(trained, load_encoder(trained), paths),
            device=torch.device("cpu"),
            maps=True,
        )
        p = small.probabilities(run)
        own = [row for row in found.rows if row.run == number]
        for row, example, wanted in zip(rows, own, scored, strict=True):
            order = np.argsort(-p[row])
            assert example.shown == tuple(index.classes[c] for c in order)
            np.testing.assert_allclose(example.probabilities, p[row][order], rtol=1e-5)
            np.testing.assert_allclose(
                example.maps, wanted.attention[order], rtol=1e-3, atol=1e-5
            )
            present = np.flatnonzero(index.labels[row] > 0)
            assert example.present == tuple(index.classes[c] for c in present)
            assert example.pixels().shape == (96, 120, 3)


def test_scores_need_no_attention_and_failures_are_errors(small, tmp_path):
    output = tmp_path / "examples.h5"
    assert make(small, "scores", ["sarl", "coop"], output, count=2) == 0
    found = Examples.load(output)
    assert len(found.rows) == 4 and all(not row.maps.size for row in found.rows)
    assert make(small, "failures", ["sarl"], output, count=4) == 0
    found = Examples.load(output)
    assert found.rows
    for row in found.rows:
        [name], [p] = row.shown, row.probabilities
        assert (name in row.present) == (p < 0.5)
        assert row.maps.shape[0] == 1


def test_mistakes_are_one_line(small, tmp_path, capsys):
    output = tmp_path / "examples.h5"
    for kind, runs, choice, match in (
        ("attention", ["coop"], {}, "has no attention"),
        (
            "scores",
            ["coop"],
            {"names": {"small": ["none.jpg"]}},
            "none.jpg is the name",
        ),
        ("scores", ["coop"], {"number": 3}, "--choice: "),
    ):
        assert make(small, kind, runs, output, **choice) == 1
        said = capsys.readouterr().err
        assert match in said.splitlines()[-1] and "Traceback" not in said
    assert not output.exists()
    fails(Examples.load, output, match="is not there")
    fails(
        Examples.load, small.results / "data/small/test.h5", match="no file|not a file"
    )
