"""The index file, the table of labels, and the index command."""

import csv
import hashlib
import re
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

from mlrpl.data import coco, csv_table, voc
from mlrpl.data.index import Index
from mlrpl.runtime import hdf5
from support.data_files import NAMED, command, fails


def small_index(**changes) -> Index:
    values = {
        "dataset": "birds",
        "split": "test",
        "classes": ("blå hejre", "robin"),
        "images": ("b/2.jpg", "a/1.jpg", "ü.jpg"),
        "labels": np.array([[1, -1], [0, 1], [-1, 0]], np.int8),
    }
    return Index(**{**values, **changes})


def test_index_survives_saving(tmp_path):
    index = small_index()
    index.save(tmp_path / "x/index.h5")
    again = Index.load(tmp_path / "x/index.h5")
    for name in ("dataset", "split", "classes", "images"):
        assert getattr(again, name) == getattr(index, name)
    assert again.labels.dtype == np.int8
    np.testing.assert_array_equal(again.labels, index.labels)
    assert index.hash() == again.hash()
    assert (
        index.hash() == hashlib.sha256("b/2.jpg\na/1.jpg\nü.jpg".encode()).hexdigest()
    )
    index.save(tmp_path / "twice.h5")
    assert (tmp_path / "twice.h5").read_bytes() == (
        tmp_path / "x/index.h5"
    ).read_bytes()


def test_a_large_matrix_stays_in_its_file(tmp_path, monkeypatch):
    index, path = small_index(), tmp_path / "index.h5"
    index.save(path)
    content = path.read_bytes()
    assert not isinstance(Index.load(path).labels, np.memmap)
    monkeypatch.setattr(hdf5, "MAPPED", 6)
    again = Index.load(path)
    assert isinstance(again.labels, np.memmap)
    np.testing.assert_array_equal(again.labels, index.labels)
    again.labels[0, 0] = -1  # in memory alone
    assert path.read_bytes() == content
    path.write_bytes(content.replace(index.labels.tobytes(), bytes(6)))
    fails(Index.load, path, match="its label matrix does not have the hash")
    path.write_bytes(content[:-8])
    fails(Index.load, path, match="index.h5: is not an index")


def test_index_hash_tells_lists_apart():
    lists = [("a", "b"), ("b", "a"), ("a", "b", "c"), ("ab",)]
    labels = [np.zeros((len(images), 2), np.int8) for images in lists]
    hashes = {
        small_index(images=images, labels=matrix).hash()
        for images, matrix in zip(lists, labels, strict=True)
    }
    assert len(hashes) == len(lists)


@pytest.mark.parametrize(
    "labels",
    [np.zeros((2, 2), np.int8), np.zeros((3, 2)), np.full((3, 2), 2, np.int8)],
)
def test_index_refuses_other_matrices(labels):
    with pytest.raises(ValueError, match="labels are"):
        small_index(labels=labels)


def test_files_that_are_no_index(tmp_path):
    path = tmp_path / "index.h5"
    fails(Index.load, path, match="is not there")
    path.write_text("no HDF5")
    fails(Index.load, path, match="is not an index")
    with h5py.File(path, "w") as file:
        file["labels"] = np.zeros((3, 2), np.int8)
    fails(Index.load, path, match="is not an index")
    small_index().save(path)
    raw = path.read_bytes()
    path.write_bytes(raw[: len(raw) // 2])
    fails(Index.load, path, match="is not an index")
    small_index().save(path)
    with h5py.File(path, "r+") as file:
        file["images"][0] = b"b/3.jpg"
    fails(Index.load, path, match="does not have the hash")
    small_index().save(path)
    with h5py.File(path, "r+") as file:
        file["labels"][0, 0] = 7
    fails(Index.load, path, match="is not an index")


def test_csv_of_real_photographs(photos):
    """6,000 and 2,000 rows, against a plain reading of the table."""
    path = photos / "coco18/labels.csv"
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    classes = [name for name in rows[0] if name not in ("image", "split")]
    for split, number in (("train", 6000), ("test", 2000)):
        index = csv_table.read_index(
            photos / "coco18/images.zip", path, dataset="p", split=split, select=split
        )
        mine = [row for row in rows if row["split"] == split]
        assert index.classes == tuple(classes)
        assert len(classes) == 18
        assert index.images == tuple(row["image"] for row in mine)
        assert len(index.images) == number
        expected = [[{"1": 1, "0": -1}[row[name]] for name in classes] for row in mine]
        np.testing.assert_array_equal(index.labels, expected)


def read_csv(folder: Path, text: str | bytes, **options) -> Index:
    images = folder / "images"
    images.mkdir(exist_ok=True)
    for name in "abc":
        (images / f"{name}.jpg").touch()
    table = folder / "t.csv"
    table.write_bytes(text.encode() if isinstance(text, str) else text)
    return csv_table.read_index(images, table, **{**NAMED, **options})


def test_csv_empty_cells_are_unknown(tmp_path):
    text = 'cat,image,"big, red dog"\r\n1,b.jpg,\r\n ,a.jpg, 1 \r\n\r\n0,c.jpg,0\r\n'
    for encoded in (text.encode(), text.encode("utf-8-sig")):
        index = read_csv(tmp_path, encoded)
        assert index.classes == ("cat", "big, red dog")
        assert index.images == ("b.jpg", "a.jpg", "c.jpg")
        np.testing.assert_array_equal(index.labels, [[1, 0], [0, 1], [-1, -1]])


def test_csv_numbers_as_pandas_writes_them(tmp_path):
    frame = pd.DataFrame(
        {"image": ["a.jpg", "b.jpg"], "cat": [1, 0], "dog": [1.0, None], "cow": [0, 1]}
    )
    index = read_csv(tmp_path, frame.to_csv(index=False))
    np.testing.assert_array_equal(index.labels, [[1, 1, -1], [-1, 0, 1]])


LISTED = (
    "image,split,tags,note\n"
    "a.jpg,train,cat|big dog,one\n"
    "b.jpg,train, cow ,\n"
    "c.jpg,test,,three\n"
)


def test_csv_a_column_may_list_the_classes(tmp_path):
    options = {"column": "tags", "select": "train"}
    index = read_csv(tmp_path, LISTED, **options)
    assert index.classes == ("big dog", "cat", "cow")
    np.testing.assert_array_equal(index.labels, [[1, 1, -1], [-1, -1, 1]])
    order = {**options, "classes": ["cow", "cat", "big dog"]}
    index = read_csv(tmp_path, LISTED, **order, unlisted="unknown")
    assert index.classes == ("cow", "cat", "big dog")
    np.testing.assert_array_equal(index.labels, [[0, 1, 1], [1, 0, 0]])
    # The classes are those of the whole table, so that train and test agree.
    options = {**options, "select": "test", "allow_empty_classes": True}
    test = read_csv(tmp_path, LISTED, **options)
    assert test.classes == ("big dog", "cat", "cow")
    np.testing.assert_array_equal(test.labels, [[-1, -1, -1]])


def test_csv_bad_lists(tmp_path):
    def bad(match: str, text: str = LISTED, **options) -> None:
        fails(read_csv, tmp_path, text, match=match, **options)

    bad("has no column tag with lists of classes", column="tag", select="train")
    bad("has no column image with lists", column="image", select="train")
    bad(
        "row 3, column tags: cow is not one of the classes cat, big dog; add it to",
        **{"column": "tags", "select": "train", "classes": ["cat", "big dog"]},
    )
    bad("for a column that lists classes set column", "image,tags\na.jpg,cat|dog\n")


def test_csv_bad_tables(tmp_path):
    where = re.escape(str(tmp_path / "t.csv"))

    def bad(match: str, text, **options) -> None:
        fails(read_csv, tmp_path, text, match=match, **options)

    for cell in ("2", "yes", "-1", "1.5", "nan"):
        bad(
            f"^{where}: row 3, column dog: '{re.escape(cell)}' is not allowed",
            f"image,cat,dog\na.jpg,1,1\nb.jpg,1,{cell}\n",
        )
    bad(f"^{where}: row 2 has 2 cells, the header 3", "image,cat,dog\na.jpg,1\n")
    bad("row 2 has 4 cells, the header 3", "image,cat,dog\na.jpg,1,1,1\n")
    bad("row 3, column image: is empty", "image,cat\na.jpg,1\n,1\n")
    bad(f"^{where}: the header has no column image", "name,cat\na.jpg,1\n")
    bad("the header has no column image", "")
    bad("column 2 has no name", "image,,cat\na.jpg,1,1\n")
    bad("columns 2 and 4 are both called split, .*; ren", "image,split,x,split\n")
    bad("columns 1 and 2 are both called image, .*; rename", "image,image,cat\n")
    bad(r"class 'a\\nb' has a line break", 'image,"a\nb"\na.jpg,1\n')
    bad("class cat is listed more than once", "image,cat,cat\na.jpg,1,1\n")
    bad("image a.jpg is listed more than", "image,cat\na.jpg,1\na.jpg,1\n")
    bad("has no class for d train", "image\na.jpg\n")
    bad("has no image for d train", "image,cat\n")
    bad("has a column split; select one", "image,split,cat\na.jpg,train,1\n")
    bad("no column split to select x", "image,cat\na.jpg,1\n", select="x")
    bad(
        "no row has split x; select one of train, test",
        "image,split,cat\na.jpg,train,1\nb.jpg,test,1\n",
        select="x",
    )
    bad("no image of d train has class dog", "image,cat,dog\na.jpg,1,0\nb.jpg,1,\n")
    bad("annotated image d.jpg is not in", "image,cat\na.jpg,1\nd.jpg,1\n")
    bad("is not a CSV table in UTF-8", "image,k\xe4se\na.jpg,1\n".encode("latin-1"))
    bad("is not a CSV table in UTF-8", 'image,cat\n"a.jpg,1\n')
    fails(
        csv_table.read_index,
        tmp_path / "images",
        tmp_path / "no.csv",
        match="no.csv: is not there",
        **NAMED,
    )
    index = read_csv(tmp_path, "image,a,b\na.jpg,1,0\n", allow_empty_classes=True)
    np.testing.assert_array_equal(index.labels, [[1, -1]])


def test_commands_make_what_the_functions_return(photos, repository, tmp_path):
    out = tmp_path / "index.h5"
    common = ["--split", "train", "--dataset", "d", "--output", out]
    annotations = photos / "coco-mini/annotations_trainval2014.zip"
    member = "annotations/instances_train2014.json"
    done = command(
        *[repository, "index", "coco", "--images", photos / "coco-mini/train2014.zip"],
        *["--annotations", annotations, "--member", member, "--keep", "labelled"],
        *["--prefix", "train2014/", "--allow-empty-classes", *common],
    )
    assert done.returncode == 0, done.stderr
    assert "loading" not in done.stdout + done.stderr  # pycocotools is silent
    assert "120 images, 80 classes" in done.stdout
    index = Index.load(out)
    assert (index.dataset, index.split) == ("d", "train")
    expected = coco.read_index(
        photos / "coco-mini/train2014.zip",
        annotations,
        member=member,
        prefix="train2014/",
        allow_empty_classes=True,
        **NAMED,
    )
    assert index.images == expected.images
    np.testing.assert_array_equal(index.labels, expected.labels)

    tar = photos / "voc-mini/VOCtest_06-Nov-2007.tar"
    arguments = ["--imageset", "test", "--difficult", "ignore", *common]
    done = command(
        *[repository, "index", "voc", "--images", tar, "--allow-empty-classes"],
        *arguments,
    )
    assert done.returncode == 0, done.stderr
    expected = voc.read_index(
        tar, "test", difficult="ignore", allow_empty_classes=True, **NAMED
    )
    np.testing.assert_array_equal(Index.load(out).labels, expected.labels)

    before = out.read_bytes()
    done = command(repository, "index", "voc", "--images", tar, *arguments)
    assert done.returncode == 1
    assert done.stderr == (
        f"mlrpl index: error: {tar}: VOCdevkit/VOC2007/ImageSets/Main/test.txt: no "
        "image of d train has class bus, motorbike, train; remove the class, or allow "
        "classes without any positive (allow_empty_classes)\n"
    )
    assert out.read_bytes() == before


def test_command_names_a_truncated_zip(photos, repository, tmp_path):
    cut = tmp_path / "images.zip"
    cut.write_bytes((photos / "coco18/images.zip").read_bytes()[:5_000_000])
    done = command(
        *[repository, "index", "csv", "--images", cut, "--select", "test"],
        *["--labels", photos / "coco18/labels.csv", "--dataset", "p"],
        *["--split", "test", "--output", tmp_path / "index.h5"],
    )
    assert done.returncode == 1
    assert done.stderr == (
        f"mlrpl index: error: {cut}: is a truncated or damaged zip (File is not a zip "
        "file); delete it and fetch it again\n"
    )
    assert not (tmp_path / "index.h5").exists()
