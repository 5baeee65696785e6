"""The attention of a run against boxes, by `mlrpl localise`."""

import json

import numpy as np
import pytest
import torch

from mlrpl.__main__ import main
from mlrpl.data.boxes import collected
from mlrpl.data.index import Index
from mlrpl.evaluation.localisation import by_chance, cells, measured
from mlrpl.prediction.encoders import load_encoder
from mlrpl.prediction.saved import load_trained
from mlrpl.prediction.scoring import score_pictures
from support.small_results import CLASSES

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def index(small):
    return Index.load(small.results / "data/small/test.h5")


@pytest.fixture(scope="module")
def boxes(small, index):
    """One to three boxes for each positive label but those of image 0."""
    random = np.random.default_rng(0)
    rows = []
    for image, c in np.argwhere(index.labels > 0):
        for _ in range(random.integers(1, 4) if image else 0):
            x, y = np.sort(random.random((2, 2)))
            rows.append((int(image), int(c), (x[0], y[0], x[1], y[1]), False))
    found = collected(rows, index)
    found.save(small.results / "data/small/boxes.h5")
    return found


def localise(small, run, output, **changes) -> int:
    data = small.results / "data/small"
    words = {
        "index": data / "test.h5",
        "boxes": data / "boxes.h5",
        "features": small.results / "features/small/test/0.h5",
        "output": output,
        **changes,
    }
    given = [str(part) for k, v in words.items() for part in (f"--{k}", v)]
    return main(["localise", str(run), *given, "--device", "cpu"])


@pytest.mark.parametrize("method", ["sarl", "sarl+visual=semantic_attention", "kggr"])
def test_the_means_are_those_of_every_label(small, index, boxes, tmp_path, method):
    """Of maps that `predict` makes from the pictures themselves."""
    run = small.train(method)
    output = tmp_path / "localisation.json"
    assert localise(small, run, output) == 0
    found = json.loads(output.read_text())
    trained = load_trained(run)
    pictures = score_pictures(
        *(trained, load_encoder(trained), small.pictures("test")),
        device=torch.device("cpu"),
        maps=True,
    )
    ours, chance, of_class = [], [], {name: [] for name in CLASSES}
    for image, scored in enumerate(pictures):
        for c in np.flatnonzero(index.labels[image] > 0):
            if image:
                there = cells(boxes.of(image, c), scored.attention[c].shape)
                ours.append(measured(scored.attention[c], there))
                chance.append(by_chance(there))
                of_class[CLASSES[c]].append(ours[-1])
    for measure in ("pointing", "centre", "inside"):
        mean = 100 * np.mean([label[measure] for label in ours])
        assert found["attention"][measure] == pytest.approx(mean, rel=1e-4)
        mean = 100 * np.mean([label[measure] for label in chance])
        assert found["chance"][measure] == pytest.approx(mean)
        for name, labels in of_class.items():
            mean = 100 * np.mean([label[measure] for label in labels])
            entry = found["classes"][name]
            assert entry["attention"][measure] == pytest.approx(mean, rel=1e-4)
            assert entry["labels"] == len(labels)
    assert found["labels"] == len(ours)
    assert found["without_box"] == (index.labels[0] > 0).sum() > 0
    assert (found["dataset"], found["prop"], found["seed"]) == ("small", 0.5, 0)


def test_mistakes_are_one_line(small, index, boxes, tmp_path, capsys):
    output = tmp_path / "localisation.json"
    assert localise(small, small.train("coop"), output) == 1
    assert "has no attention" in capsys.readouterr().err
    run = small.train("sarl")
    train = small.results / "features/small/train/0.h5"
    assert localise(small, run, output, features=train) == 1
    assert "not of the images" in capsys.readouterr().err
    assert localise(small, run, output, boxes=train) == 1
    assert "is not a file of boxes" in capsys.readouterr().err
    assert not output.exists()
