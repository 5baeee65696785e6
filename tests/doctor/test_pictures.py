"""`mlrpl check`: all faults of pictures at once, and what each class has."""

import csv
import io
import zipfile

import numpy as np
import pytest
import yaml
from PIL import Image

from mlrpl.__main__ import main


def jpeg(number: int) -> bytes:
    pixels = np.random.default_rng(number).integers(0, 255, (24, 24, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG")
    return file.getvalue()


TABLE = (
    ("image", "split", "cat", "dog"),
    ("1.jpg", "train", 1, ""),
    ("2.jpg", "train", 0, 1),
    ("3.jpg", "train", "", 1),
    ("4.jpg", "test", 1, 0),
    ("5.jpg", "test", 1, 1),
)


@pytest.fixture
def mine(tmp_path, monkeypatch, repository):
    """Write a data set with changes of its pictures; return its config file."""

    def write(**changes: bytes) -> str:
        pictures = {f"{n}.jpg": jpeg(n) for n in range(1, 6)}
        pictures |= {f"{name.strip('_')}.jpg": data for name, data in changes.items()}
        with zipfile.ZipFile(tmp_path / "i.zip", "w") as archive:
            for name, data in pictures.items():
                archive.writestr(name, data)
        with (tmp_path / "l.csv").open("w", newline="") as file:
            csv.writer(file).writerows(TABLE)
        split = {"images": "i.zip", "labels": "l.csv"}
        splits = {name: {**split, "select": name} for name in ("train", "test")}
        entry = {"format": "csv", "root": str(tmp_path), "splits": splits}
        datasets = {"coco2014": None, "voc2007": None, "mine": entry}
        config = {"datasets": datasets, "experiments": {"figure8": None}}
        (tmp_path / "mine.yaml").write_text(yaml.safe_dump(config))
        return str(tmp_path / "mine.yaml")

    return write


def test_a_sound_data_set_is_ready(mine, capsys):
    assert main(["check", "--configfile", mine()]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "mine: 3 train, 2 test pictures",
        "class  train positive  train unknown  test positive  test unknown",
        "cat                 1              1              2             0",
        "dog                 2              1              1             0",
        "ready",
    ]


def test_all_faults_are_named_at_once(mine, capsys, tmp_path):
    whole = jpeg(2)
    path = mine(_1=b"no picture", _2=whole[: len(whole) // 2], _5=jpeg(3), _4=jpeg(4))
    with pytest.raises(SystemExit) as stopped:
        main(["check", "--configfile", path])
    assert stopped.value.code == 1
    faults = [
        line for line in capsys.readouterr().out.splitlines() if line.startswith("! ")
    ]
    assert faults[0].startswith(f"! {tmp_path}/i.zip: 1.jpg: ")
    assert faults[1].startswith(f"! {tmp_path}/i.zip: 2.jpg: ")
    assert faults[2].startswith("! the same pictures are in train and in test (1)")
    assert len(faults) == 3


def test_a_picture_under_two_names_is_a_note(mine, capsys):
    assert main(["check", "--configfile", mine(_2=jpeg(1))]) == 0
    said = capsys.readouterr().out
    assert "train: the same picture under several names: 1.jpg = 2.jpg" in said


def test_mistakes_are_one_line(mine, capsys):
    path = mine()
    assert main(["check", "--configfile", path, "--dataset", "mien"]) == 1
    assert capsys.readouterr().err == (
        "mlrpl check: error: --dataset: mien: unknown data set; did you mean mine?\n"
    )
    assert main(["check", "--configfile", path, "--threads", "0"]) == 1
