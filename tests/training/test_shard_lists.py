"""A training that is given lists of feature files in place of the files."""

import shutil

import pytest

from mlrpl.__main__ import main
from mlrpl.encoder import shard_list
from support import tiny
from support.trainings import arguments, run

OPTIONS = {"epochs": 2, "eval_every": 2}


@pytest.fixture
def files(tmp_path):
    return tiny.write_files(tmp_path / "files")


def test_a_list_trains_as_its_files_do(files, tmp_path):
    assert run(files, tmp_path / "whole", **OPTIONS) == 0
    words = arguments(files, tmp_path / "listed", **OPTIONS)
    for split in ("train", "test"):
        folder = tmp_path / split
        folder.mkdir()
        shards = getattr(files, f"{split}_features")
        for number, shard in enumerate(shards):
            shutil.copy(shard, folder / f"{number}.h5")
        shard_list.write(folder / shard_list.NAME, len(shards))
        start = words.index(f"--{split}-features") + 1
        words[start : start + len(shards)] = [str(folder / shard_list.NAME)]
    assert main(words) == 0
    for name in ("scores.h5", "weights.safetensors", "history.csv"):
        one, other = (tmp_path / kind / name for kind in ("whole", "listed"))
        assert one.read_bytes() == other.read_bytes(), name


def test_a_shard_that_went_is_one_line(files, tmp_path, capsys):
    words = arguments(files, tmp_path / "run", **OPTIONS)
    place = words.index("--train-features") + 1
    words[place] = str(tmp_path / "shards.json")
    assert main(words) == 1
    [line] = capsys.readouterr().err.strip().splitlines()
    assert "shards.json: is no list of feature files" in line
