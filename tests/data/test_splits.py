"""Two splits: the same classes, and pictures that are in both."""

from pathlib import Path

import numpy as np
import pytest

from mlrpl import __main__
from mlrpl.archives.formats import open_archive
from mlrpl.data.index import Index
from mlrpl.data.splits import check_classes, shared_pictures
from support.data_files import fails, write_tar, write_zip


def split(name: str, images=("1.jpg",), classes=("cat", "dog")) -> Index:
    labels = np.ones((len(images), len(classes)), np.int8)
    return Index("pets", name, tuple(classes), tuple(images), labels)


@pytest.mark.parametrize(
    ("train", "test", "fault"),
    [
        ("abc", "acb", "class 2 is c in test and b in train; put them into one order"),
        ("abc", "ab", "c is a class of train and not of test (they have 3 and 2)"),
        ("ab", "abc", "c is a class of test and not of train (they have 3 and 2)"),
        ("abc", "abd", "d is a class of test and not of train (they have 3 and 3)"),
    ],
)
def test_the_first_class_that_differs_is_named(train, test, fault):
    check_classes(split("test", classes=test), split("train", classes=test))
    second, first = split("test", classes=test), split("train", classes=train)
    message = fails(check_classes, second, first, match=r"^classes of pets test: ")
    assert fault in message


TRAIN = {"1.jpg": "one", "2.jpg": "two!", "3.jpg": "three", "x/4.jpg": "four" * 2000}
# 1: other content; 2: equal; 5 is train's 3; 6 has 4's size and end; 7 its content.
TEST = {
    "1.jpg": "eno",
    "2.jpg": "two!",
    "5.jpg": "three",
    "6.jpg": "F" + ("four" * 2000)[1:],
    "7.jpg": "four" * 2000,
    "8.jpg": "eight",
}


def stored(kind: str, path: Path, files: dict[str, str]) -> Path:
    if kind == "folder":
        for name, text in files.items():
            (path / name).parent.mkdir(exist_ok=True, parents=True)
            (path / name).write_text(text)
        return path
    return (write_zip if kind == "zip" else write_tar)(path, files)


@pytest.mark.parametrize("train", ["zip", "tar", "folder"])
@pytest.mark.parametrize("test", ["zip", "tar", "folder"])
def test_shared_pictures_by_content(train, test, tmp_path):
    one = stored(train, tmp_path / "one", TRAIN)
    other = stored(test, tmp_path / "other", TEST)
    with open_archive(other) as archive, open_archive(one) as others:
        found = shared_pictures(
            split("test", TEST), archive, split("train", list(TRAIN)[:-1]), others
        )
        assert found == ["2.jpg", "5.jpg"]
        found = shared_pictures(
            split("test", TEST), archive, split("train", TRAIN), others
        )
        assert found == ["2.jpg", "5.jpg", "7.jpg"]


@pytest.mark.parametrize("kind", ["zip", "tar", "folder"])
def test_shared_pictures_by_name_in_one_archive(kind, tmp_path):
    """Empty files, which content cannot tell apart; and a copy under another name."""
    path = stored(
        kind, tmp_path / "x", {"a": "", "b": "", "c": "3", "d": "3", "e": "5"}
    )
    with open_archive(path) as one, open_archive(path) as other:
        found = shared_pictures(
            split("test", ("e", "d", "b")), one, split("train", ("a", "b", "c")), other
        )
    assert found == ["d", "b"]


def run_index(folder: Path, select: str, *more: str) -> int:
    return __main__.main(
        [
            *("index", "csv", "--images", str(folder / "im")),
            *("--labels", str(folder / f"{select}.csv"), "--dataset", "pets"),
            *("--split", select, "--output", str(folder / f"{select}.h5"), *more),
        ]
    )


def test_the_second_index_is_compared_with_the_first(tmp_path, capsys):
    stored("folder", tmp_path / "im", TRAIN)
    (tmp_path / "train.csv").write_text("image,cat,dog\n1.jpg,1,0\n2.jpg,0,1\n")
    (tmp_path / "test.csv").write_text("image,dog,cat\n2.jpg,1,0\n3.jpg,0,1\n")
    beside = ("--beside", str(tmp_path / "train.h5"))
    assert run_index(tmp_path, "train") == 0
    assert run_index(tmp_path, "test", *beside) == 1
    assert "class 1 is dog in test and cat in train" in capsys.readouterr().err
    assert not (tmp_path / "test.h5").exists()
    (tmp_path / "test.csv").write_text("image,cat,dog\n2.jpg,1,0\n3.jpg,0,1\n")
    assert run_index(tmp_path, "test", *beside) == 0
    error = capsys.readouterr().err
    assert error.startswith(
        "warning: 1 of 2 images of pets test are in train, too (2.j"
    )
    gone = ("--beside-images", str(tmp_path / "gone"))
    assert run_index(tmp_path, "test", *beside, *gone) == 0
    assert "the pictures of train are not compared: " in capsys.readouterr().err
    fails(Index.load, tmp_path / "none.h5", match="is not there")
