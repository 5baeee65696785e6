"""The commands and the configuration of docs/predict.md."""

import json
import re
import shlex
import shutil

import pytest
import yaml

from mlrpl.__main__ import main
from mlrpl.config import files
from mlrpl.config.validation import validate
from mlrpl.prediction.trained import read_thresholds

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def blocks(repository) -> dict[str, list[str]]:
    text = (repository / "docs/predict.md").read_text()
    found: dict[str, list[str]] = {}
    for kind, block in re.findall(r"^```(\w+)\n(.*?)^```$", text, re.M | re.S):
        found.setdefault(kind, []).append(block)
    return found


def test_every_command_works(small, blocks, tmp_path, monkeypatch, capsys):
    """With a run and pictures of the small results in place of the page's."""
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in (1, 2):
        shutil.copy(small.picture("test", number), photos / f"{number}.png")
    (tmp_path / "names.txt").write_text("photos/1.png\nphotos/2.png\n")
    shutil.copy(small.folder / "tiny.safetensors", tmp_path / "encoder.safetensors")
    run = str(small.train("sarl"))
    monkeypatch.chdir(tmp_path)
    lines = [line for block in blocks["sh"] for line in block.splitlines()]
    assert lines.pop(0).startswith("RUN=results/runs/")
    assert len(lines) >= 10
    said = []
    for line in lines:
        before, pipe, after = line.partition(" | ")
        if pipe:
            assert before == "ls photos/*.png"
            monkeypatch.setattr("sys.stdin", (tmp_path / "names.txt").open())
            line = after
        words = [word.replace("$RUN", run) for word in shlex.split(line)]
        assert words.pop(0) == "mlrpl"
        threads = ["--threads", "1", "--device", "cpu"] if words[0] == "predict" else []
        assert main([*words, *threads]) == 0, line
        said.append(capsys.readouterr().out)
    assert said[1] == said[2] == said[3], "named, listed, and on standard input"
    assert sorted(p.name for p in (tmp_path / "maps").iterdir()) == ["1.png", "2.png"]
    header = (tmp_path / "scores.csv").read_text().splitlines()[0]
    assert header == "picture,class,probability,threshold,present"
    assert len(json.loads((tmp_path / "scores.json").read_text())) == 2


def test_the_thresholds_are_read(blocks):
    [block] = blocks["json"]
    found = read_thresholds(json.loads(block), ["person", "dog", "traffic light"], "t")
    assert found.tolist() == [0.6, 0.5, 0.35]


def test_the_configuration_is_valid(repository, blocks):
    base = files.read(repository / "config.yaml")
    [block] = blocks["yaml"]
    config = validate(files.merge(base, yaml.safe_load(block)))
    names = config["experiments"]["figure6"]["pictures"]["names"]
    assert names == {"coco2014": ["COCO_val2014_000000000139.jpg"]}
