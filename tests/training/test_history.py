"""What a training says while it runs: its history, its lines, its bar."""

import csv
import re
import sys

import pytest

from mlrpl.errors import UserError
from mlrpl.training import history, loop
from support import tiny
from support.trainings import run


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return tiny.write_files(tmp_path_factory.mktemp("files"))


def read(folder):
    with (folder / "history.csv").open() as file:
        return list(csv.DictReader(file))


def test_a_log_has_a_line_an_epoch(files, tmp_path, capsys):
    assert run(files, tmp_path, epochs=4, eval_every=2) == 0
    said = capsys.readouterr().err
    lines = re.findall(r"^epoch (\d+) of 4: (.*)$", said, re.MULTILINE)
    assert [number for number, _ in lines] == ["1", "2", "3", "4"]
    for (_, text), row in zip(lines, read(tmp_path), strict=True):
        assert f"loss {float(row['loss']):.4f}" in text
        tested = f"mAP {float(row['mAP']):.2f}" if row["mAP"] else "mAP"
        assert (tested in text) == bool(row["mAP"])
    assert "train:" not in said, "a bar is for a terminal"


def test_the_history_grows_while_a_training_runs(files, tmp_path, monkeypatch):
    """As it is at the start of each epoch."""
    seen = []
    epoch = loop.run_epoch

    def looked_at(*arguments):
        path = tmp_path / "history.csv"
        seen.append(len(read(tmp_path)) if path.exists() else None)
        return epoch(*arguments)

    monkeypatch.setattr(loop, "run_epoch", looked_at)
    assert run(files, tmp_path, epochs=3) == 0
    assert seen == [None, 1, 2] and len(read(tmp_path)) == 3


@pytest.mark.parametrize("first", [0, 2])
def test_the_bar_counts_epochs(monkeypatch, capsys, first):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    bar = history.Bar(first, 5, shown=True)
    for number in range(first + (first > 0), 6):
        bar.ended(history.Epoch(number, 0.1, 0.25, None, None))
    assert bar.bar.n == 5, "epoch 0, the start, is none of training"
    assert bar.bar.total == 5 and bar.bar.postfix == "loss 0.2500"
    assert "epoch 1 of" not in capsys.readouterr().err


def test_tensorboard_that_is_not_installed_is_one_line(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(UserError, match="tensorboard: is not installed; pip install"):
        history.Recorder(tmp_path, tensorboard=True)


def test_tensorboard_has_each_number_once(monkeypatch, tmp_path):
    written = []

    class Writer:
        def __init__(self, folder):
            self.folder = folder

        def add_scalar(self, *values):
            written.append(values)

        def flush(self):
            pass

    class Module:
        SummaryWriter = Writer

    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", Module)
    recorder = history.Recorder(tmp_path, tensorboard=True)
    entries = [history.Epoch(1, 0.1, 2.0, None, None)]
    recorder(entries)
    entries.append(history.Epoch(2, 0.1, 1.0, 50.0, None))
    recorder(entries)
    assert recorder.writer.folder == str(tmp_path / "tensorboard")
    assert written == [
        ("lr", 0.1, 1),
        ("loss", 2.0, 1),
        ("lr", 0.1, 2),
        ("loss", 1.0, 2),
        ("mAP", 50.0, 2),
    ]
