"""COCO's JSON as exporters write it: ids, types, packing, nesting."""

import bz2
import copy
import gzip
import json
import lzma
import os
import tarfile

import numpy as np
import pytest

from mlrpl.data import coco
from mlrpl.data.coco_json import read_instances
from support.data_files import NAMED, fails, write_zip

PLAIN = {
    "images": [{"id": 7, "file_name": "7.jpg"}, {"id": 10, "file_name": "10.jpg"}],
    "categories": [{"id": 2, "name": "cat"}, {"id": 10, "name": "dog"}],
    "annotations": [
        {"id": 1, "image_id": 7, "category_id": 10},
        {"id": 2, "image_id": 10, "category_id": 2},
    ],
}


def changed(edit) -> dict:
    content = copy.deepcopy(PLAIN)
    edit(content)
    return content


@pytest.fixture
def read(tmp_path):
    """The index of a content with two pictures."""
    images = write_zip(tmp_path / "i.zip", {"7.jpg": b"7", "10.jpg": b"8"})

    def index(content, **options):
        path = tmp_path / "a.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return coco.read_index(images, path, **NAMED, **options)

    return index


def every(content, key: str, name: str, kind) -> None:
    for entry in content[key]:
        entry[name] = kind(entry[name])


@pytest.mark.parametrize(
    "edit",
    [
        lambda c: None,
        lambda c: every(c, "annotations", "category_id", str),
        lambda c: every(c, "annotations", "image_id", str),
        lambda c: every(c, "images", "id", str),
        lambda c: every(c, "categories", "id", float),
        lambda c: c["categories"][0].update(id="2"),
        lambda c: c["annotations"][0].update(category_id="10", image_id=7.0),
        lambda c: c["annotations"][0].update(category_id=" 10 "),
        lambda c: c["annotations"][0].pop("id"),
        lambda c: every(c, "annotations", "id", lambda number: [number]),
    ],
)
def test_ids_that_agree_as_text_are_joined(edit, read):
    index = read(changed(edit))
    assert index.classes == ("cat", "dog")
    np.testing.assert_array_equal(index.labels, [[-1, 1], [1, -1]])


def test_ids_that_are_all_text_are_sorted_as_text(read):
    content = changed(lambda c: every(c, "categories", "id", str))
    assert read(content).classes == ("dog", "cat")  # "10" before "2"
    content["categories"][1]["id"] = "dogs"
    content["annotations"][0]["category_id"] = "dogs"
    assert read(content).classes == ("cat", "dog")


@pytest.mark.parametrize(
    ("edit", "fault"),
    [
        (lambda c: c["categories"][1].update(id=None), r"categories\[1\]: id is null"),
        (lambda c: c["categories"][1].update(id=[1]), r"categories\[1\]: id is a list"),
        (lambda c: c["images"][0].update(id=True), r"images\[0\]: id is true, neither"),
        (lambda c: c["images"][0].update(id=1.5), r"images\[0\]: id is the number 1.5"),
        (lambda c: c["images"][1].update(id=" "), r"images\[1\]: id is the text \" \""),
        (lambda c: c["images"][1].pop("id"), r"images\[1\]: has no id"),
        (
            lambda c: c["images"][1].update(file_name=3),
            "file_name is the number 3, not",
        ),
        (
            lambda c: c["categories"][0].update(name=5),
            "name is the number 5, not a tex",
        ),
        (lambda c: c["categories"][0].update(name=None), "name is null, not a text"),
        (
            lambda c: c["annotations"].append(3),
            r"annotations\[2\]: is the number 3, no",
        ),
        (lambda c: c["annotations"][1].pop("image_id"), "has no image_id"),
        (
            lambda c: c["annotations"][1].update(category_id={}),
            "category_id is an obje",
        ),
        (lambda c: c.update(annotations=None), "annotations is null, not a list"),
        (lambda c: c.update(images={"1": 2}), "images is an object, not a list"),
    ],
)
def test_the_entry_that_is_wrong_is_named(edit, fault, read):
    fails(read, changed(edit), match=f"is not a COCO instances file .*{fault}")


def test_ids_that_two_entries_have(read):
    content = changed(lambda c: c["categories"].append({"id": "2", "name": "cow"}))
    fails(read, content, match=r"categories share an id, 2 \(categories\[0\] and .*\[2")
    content = changed(lambda c: c["images"].append({"id": "7", "file_name": "8.jpg"}))
    fails(read, content, match=r"images share an id, 7 \(images\[0\] and images\[2\]")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (json.dumps([PLAIN]), "its top is a list, not an object"),
        ("null", "its top is null"),
        ("[" * 100_000 + "]" * 100_000, "is nested too deeply"),
        ('{"a":' * 100_000 + "1" + "}" * 100_000, "is nested too deeply"),
        ('{"images": [' + "9" * 5000 + "]}", "is not JSON"),
    ],
)
def test_other_json_is_refused(text, fault, read):
    fails(read, text, match=fault)


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("", "a class has the name ''; give it a name"),
        ("  ", "a class has the name '  '"),
        ("cat\ndog", r"class 'cat\\ndog' has a line break or a character"),
        ("cat\0", r"class 'cat\\x00' has"),
        ("cat\u2028dog", "has a line break"),
        ("\ud800", r"class '\\ud800' has"),
    ],
)
def test_names_that_cannot_be_kept_are_refused(name, fault, read):
    content = changed(lambda c: c["categories"][0].update(name=name))
    fails(read, content, match=fault)


def test_classes_are_a_choice_and_an_order(read):
    """As where a category only groups the others."""
    content = changed(
        lambda c: c["categories"].insert(
            0, {"id": 0, "name": "pets", "supercategory": "none"}
        )
    )
    fails(read, content, match=r"has class pets; list the classes .* \(classes\), or")
    index = read(content, classes=["dog", "cat"])
    assert index.classes == ("dog", "cat")
    np.testing.assert_array_equal(index.labels, [[1, -1], [-1, 1]])
    # Objects of other categories count for the image, not for a class.
    index = read(content, classes=["dog"])
    assert index.images == ("7.jpg", "10.jpg")
    np.testing.assert_array_equal(index.labels, [[1], [-1]])
    fails(read, content, classes=["cow"], match="no categories are called cow; its ca")
    content["categories"][0]["name"] = "dog"
    fails(read, content, classes=["dog"], match="2 categories are called dog")


def test_json_is_known_by_its_content(tmp_path):
    data = json.dumps(PLAIN).encode()
    for name, packed in (
        ("ANN.JSON", data),
        ("annotations", data),
        ("a.txt", b"\xef\xbb\xbf \n" + data),
        ("a.json.gz", gzip.compress(data)),
        ("a.bz2", bz2.compress(data)),
        ("a.json.xz", lzma.compress(data)),
        ("utf16.json", json.dumps(PLAIN).encode("utf-16")),
    ):
        path = tmp_path / name
        path.write_bytes(packed)
        assert read_instances(path, None).content == PLAIN
    inner = {"A.Json": data, "__MACOSX/._A.Json": b"?"}
    zipped = write_zip(tmp_path / "a.zip", inner)
    assert read_instances(zipped, None).source == f"{zipped}: A.Json"
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as tar:
        tar.add(tmp_path / "ANN.JSON", "b.json")
    assert read_instances(tmp_path / "a.tar.gz", None).content == PLAIN
    (tmp_path / "cut.json.gz").write_bytes(gzip.compress(data)[:-20])
    fails(read_instances, tmp_path / "cut.json.gz", None, match="truncated or damaged")
    os.mkfifo(tmp_path / "pipe.json")
    fails(read_instances, tmp_path / "pipe.json", None, match="is a named pipe or a")
    fails(read_instances, tmp_path / "none.json", None, match="is not there; ")
