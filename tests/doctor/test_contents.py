"""What an entry names inside its files is looked up before the run."""

import json
import re
from pathlib import Path

import pytest

from mlrpl.doctor.contents import content_faults
from mlrpl.doctor.findings import examine
from support.doctor import archive, faults, load, machine, small, voc_members, write

COCO = {
    "format": "coco",
    "root": "mine",
    "splits": {
        "train": {"images": "i.zip", "annotations": "a.zip", "prefix": "t/"},
        "test": {"images": "i.zip", "annotations": "a.zip", "prefix": "t/"},
    },
}
MEMBERS = {"ann/train.json": "{}", "ann/test.json": "{}"}


def coco(**changes) -> dict:
    splits = {
        name: {**split, "member": f"ann/{name}.json", **changes}
        for name, split in COCO["splits"].items()
    }
    for split in splits.values():
        if split["member"] is None:
            del split["member"]
    mine = {**COCO, "splits": splits}
    return load(small(datasets={"voc2007": None, "mine": mine}))


def test_a_whole_entry_has_no_fault():
    archive("mine/i.zip", **{"t/1.jpg": "picture"})
    archive("mine/a.zip", **MEMBERS)
    assert content_faults(coco(), ["mine"]) == []
    assert faults(examine(coco(), machine())) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"member": "ann/trian.json"},
            "splits.train.member: mine/a.zip holds no ann/trian.json; did you mean "
            "ann/train.json?",
        ),
        ({"member": None}, "splits.train.member: mine/a.zip holds 2 JSON files"),
        (
            {"prefix": "train2014/"},
            "splits.train.prefix: mine/i.zip has no picture below train2014/; it has "
            "a.jpg, so leave it out",
        ),
    ],
)
def test_what_a_coco_entry_lacks_is_named(changes, said):
    archive("mine/i.zip", **{"t/1.jpg": "picture"})
    archive("mine/a.zip", **MEMBERS)
    found = content_faults(coco(**changes), ["mine"])
    assert any(fault.startswith(f"datasets.mine.{said}") for fault in found), found
    assert len(found) == 2


def test_annotations_that_are_a_json_file_need_no_member():
    archive("mine/i.zip", **{"t/1.jpg": "picture"})
    write("mine/a.json", json.dumps({}).encode())
    assert content_faults(coco(member=None, annotations="a.json"), ["mine"]) == []


def test_an_image_set_that_is_not_there_is_named():
    for name in ("VOCtrainval_06-Nov-2007.tar", "VOCtest_06-Nov-2007.tar"):
        archive(f"disk/{name}", **voc_members("train", "test"))
    config = load(small(datasets={"voc2007": {"root": "disk"}}))
    [fault] = content_faults(config, ["voc2007"])
    assert fault == (
        "datasets.voc2007.splits.train.imageset: disk/VOCtrainval_06-Nov-2007.tar has "
        "no ImageSets/Main/trainval.txt; did you mean train?"
    )
    assert fault in examine(config, machine()).faults


@pytest.mark.parametrize(
    ("table", "select", "said"),
    [
        ("image,split,cat\na.jpg,train,1\na.jpg,test,1\n", True, None),
        (
            "file,split,cat\n",
            True,
            "l.csv: the header has no column image; it has file",
        ),
        ("image,cat\na.jpg,1\n", True, "select: mine/l.csv has no column split"),
        ("image,split,cat\na.jpg,training,1\n", True, "no row has test; write one of"),
        ("image,split,cat\na.jpg,train,1\n", False, "missing; name one of train"),
    ],
)
def test_a_table_is_looked_at(table, select, said):
    archive("mine/i.zip")
    write("mine/l.csv", table.encode())
    split = {"images": "i.zip", "labels": "l.csv"}
    splits = {
        name: {**split, **({"select": name} if select else {})}
        for name in ("train", "test")
    }
    mine = {"format": "csv", "root": "mine", "splits": splits}
    config = load(small(datasets={"voc2007": None, "mine": mine}))
    found = content_faults(config, ["mine"])
    assert any(said in fault for fault in found) if said else not found, found


def test_an_archive_without_pictures_is_named():
    archive("mine/i.zip", **{"a.jpg": ""})
    write("mine/x.tar", b"no archive")
    config = coco(images="x.tar")
    archive("mine/a.zip", **MEMBERS)
    assert "x.tar: is not a zip, tar or folder" in content_faults(config, ["mine"])[0]


@pytest.mark.parametrize("name", ["i.zip", "a.zip"])
def test_files_that_cannot_be_unpacked_are_named(name):
    archive("mine/i.zip", **{"t/1.jpg": "picture"})
    archive("mine/a.zip", **MEMBERS)
    path = Path("mine") / name
    data = bytearray(path.read_bytes())
    for mark, place in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        for found in re.finditer(re.escape(mark), bytes(data)):
            data[found.start() + place] = 9
    path.write_bytes(data)
    found = content_faults(coco(), ["mine"])
    assert "is packed by Deflate64, which cannot be read here; unpack" in found[0]
    assert found[0].startswith(f"mine/{name}: ")


def test_json_is_known_by_its_content():
    archive("mine/i.zip", **{"t/1.jpg": "picture"})
    write("mine/ANN.JSON", b"{}")
    write("mine/annotations", b"[]")
    config = coco(member=None)
    splits = config["datasets"]["mine"]["splits"]
    splits["train"]["annotations"], splits["test"]["annotations"] = (
        "ANN.JSON",
        "annotations",
    )
    assert content_faults(config, ["mine"]) == []
