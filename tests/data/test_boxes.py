"""Boxes of COCO and VOC annotations, by hand and against pycocotools."""

import json
from collections import Counter
from xml.etree import ElementTree

import numpy as np
import pytest
from pycocotools.coco import COCO

from mlrpl.__main__ import main
from mlrpl.archives.formats import open_archive
from mlrpl.data import boxes_coco, boxes_voc, coco, voc
from mlrpl.data.boxes import Boxes
from mlrpl.data.index import Index
from support.data_files import NAMED, fails, write_tar, write_zip

OBJECT = (
    "<object><name>{}</name><difficult>{}</difficult><bndbox>{}</bndbox>{}</object>"
)
PART = "<part><name>head</name><bndbox><xmin>1</xmin></bndbox></part>"


def edges(*values) -> str:
    names = ("xmin", "ymin", "xmax", "ymax")
    return "".join(f"<{n}>{v}</{n}>" for n, v in zip(names, values, strict=True))


NAMELESS = [{"id": 9, "name": "cow"}, {"id": 3, "name": "dog"}]


def write_voc(path, size="<size><width>200</width><height>100</height></size>"):
    top = "VOCdevkit/VOC2007"
    first = OBJECT.format("dog", 0, edges(1, 1, 100, 50), PART)
    second = OBJECT.format("cat", 1, edges(101, 51, 200, 100), "")
    files = {
        f"{top}/ImageSets/Main/test.txt": "000002\n000001\n",
        f"{top}/Annotations/000001.xml": f"<a>{size}{first}{second}</a>",
        f"{top}/Annotations/000002.xml": f"<a>{size}{first}</a>",
        f"{top}/JPEGImages/000001.jpg": "",
        f"{top}/JPEGImages/000002.jpg": "",
    }
    return write_tar(path, files)


def coco_json(**changes) -> dict:
    box = {"image_id": 7, "category_id": 3, "bbox": [50, 10, 100, 20], "iscrowd": 0}
    crowd = {"image_id": 5, "category_id": 9, "bbox": [0, 0, 230, 50], "iscrowd": 1}
    size = {"width": 200, "height": 100}
    return {
        "images": [
            {"id": 7, "file_name": "b.jpg", **size},
            {"id": 5, "file_name": "a.jpg", **size},
        ],
        "categories": [{"id": 9, "name": "cat"}, {"id": 3, "name": "dog"}],
        "annotations": [{"id": 1, **crowd}, {"id": 2, **box, **changes}],
    }


def test_voc_pixels_count_from_one_and_hold_both_ends(tmp_path):
    tar = write_voc(tmp_path / "v.tar")
    index = voc.read_index(
        tar, "test", classes=["cat", "dog"], allow_empty_classes=True, **NAMED
    )
    boxes = boxes_voc.read_boxes(tar, index)
    np.testing.assert_array_equal(boxes.image, [0, 1, 1])
    np.testing.assert_array_equal(boxes.class_, [1, 1, 0])
    np.testing.assert_array_equal(boxes.special, [False, False, True])
    quarter, last = [0, 0, 0.5, 0.5], [0.5, 0.5, 1, 1]
    np.testing.assert_allclose(boxes.corners, [quarter, quarter, last])
    np.testing.assert_allclose(boxes.of(1, 0), [last])
    assert boxes.of(0, 0).shape == (0, 4)


def test_coco_boxes_are_left_top_width_height(tmp_path):
    path = write_zip(tmp_path / "a.zip", {"x.json": json.dumps(coco_json())})
    images = write_zip(tmp_path / "i.zip", {"v/a.jpg": "", "v/b.jpg": ""})
    index = coco.read_index(images, path, prefix="v/", **NAMED)
    assert index.classes == ("dog", "cat")
    boxes = boxes_coco.read_boxes(path, index, prefix="v/")
    np.testing.assert_allclose(boxes.of(0, 0), [[0.25, 0.1, 0.75, 0.3]])
    np.testing.assert_allclose(boxes.of(1, 1), [[0, 0, 1, 0.5]])  # cut at the edge
    np.testing.assert_array_equal(boxes.special, [False, True])


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (coco_json(bbox=[1, 2, 3]), "annotation 2 .* bbox"),
        ({**coco_json(), "images": []}, "other images or classes"),
        ({**coco_json(), "categories": []}, "other images or classes"),
        ({**coco_json(), "categories": NAMELESS}, "other images or classes"),
    ],
)
def test_a_coco_file_that_does_not_fit_is_one_line(tmp_path, content, match):
    images = write_zip(tmp_path / "i.zip", {"a.jpg": "", "b.jpg": ""})
    path = tmp_path / "whole.json"
    path.write_text(json.dumps(coco_json()))
    index = coco.read_index(images, path, **NAMED)
    path.write_text(json.dumps(content))
    fails(boxes_coco.read_boxes, path, index, match=match)


def test_a_voc_annotation_without_a_size_is_one_line(tmp_path):
    index = voc.read_index(
        *(write_voc(tmp_path / "v.tar"), "test"),
        classes=["cat", "dog"],
        allow_empty_classes=True,
        **NAMED,
    )
    tar = write_voc(tmp_path / "w.tar", size="")
    fails(boxes_voc.read_boxes, tar, index, match=r"000002\.xml.*localisation to null")


def test_the_command_writes_what_is_read_again(tmp_path):
    tar = write_voc(tmp_path / "v.tar")
    index = voc.read_index(
        tar, "test", classes=["cat", "dog"], allow_empty_classes=True, **NAMED
    )
    index.save(tmp_path / "test.h5")
    made = [tmp_path / "boxes.h5", tmp_path / "again.h5"]
    for output in made:
        places = ["--images", tar, "--index", tmp_path / "test.h5", "--output", output]
        assert main(["boxes", "voc", *map(str, places)]) == 0
    assert made[0].read_bytes() == made[1].read_bytes()
    boxes = Boxes.load(made[0], index)
    np.testing.assert_allclose(boxes.of(1, 0), [[0.5, 0.5, 1, 1]])
    other = Index("d", "train", index.classes, index.images[:1], index.labels[:1])
    fails(Boxes.load, made[0], other, match="of other images")
    fails(Boxes.load, tmp_path / "none.h5", index, match="is not there")
    fails(Boxes.load, tar, index, match="is not a file of boxes")


def test_coco_boxes_equal_those_of_pycocotools(photos, tmp_path):
    """Of every photograph: each box where pycocotools has it, in pixels."""
    archive = photos / "coco-mini/annotations_trainval2014.zip"
    member, prefix = "annotations/instances_val2014.json", "val2014/"
    images = photos / "coco-mini/val2014.zip"
    index = coco.read_index(
        *(images, archive),
        member=member,
        prefix=prefix,
        allow_empty_classes=True,
        **NAMED,
    )
    boxes = boxes_coco.read_boxes(archive, index, member=member, prefix=prefix)
    with open_archive(archive) as opened:
        (tmp_path / "i.json").write_bytes(opened.read(member))
    theirs = COCO(str(tmp_path / "i.json"))
    assert len(boxes.image) == len(theirs.anns) > 500
    for row, name in enumerate(index.images):
        [image] = [i for i in theirs.imgs.values() if prefix + i["file_name"] == name]
        wanted: Counter = Counter()
        for annotation in theirs.loadAnns(theirs.getAnnIds(imgIds=image["id"])):
            x, y, w, h = annotation["bbox"]
            label = theirs.cats[annotation["category_id"]]["name"]
            right, bottom = min(x + w, image["width"]), min(y + h, image["height"])
            wanted[(label, *(round(v) for v in (x, y, right, bottom)))] += 1
        scale = np.tile([image["width"], image["height"]], 2)
        found: Counter = Counter()
        for c in range(len(index.classes)):
            for corners in boxes.of(row, c) * scale:
                found[(index.classes[c], *(round(v) for v in corners))] += 1
        assert found == wanted


def test_voc_boxes_are_those_of_the_photographs_xml(photos):
    tar = photos / "voc-mini/VOCtest_06-Nov-2007.tar"
    index = voc.read_index(tar, "test", allow_empty_classes=True, **NAMED)
    boxes = boxes_voc.read_boxes(tar, index)
    assert (boxes.corners[:, :2] < boxes.corners[:, 2:]).all()
    with open_archive(tar) as archive:
        for row, name in enumerate(index.images):
            path = name.replace("JPEGImages", "Annotations").replace(".jpg", ".xml")
            text = archive.read(path)
            root = ElementTree.fromstring(text)
            assert text.count(b"<object>") == (boxes.image == row).sum()
            for item in root.findall("object"):
                c = index.classes.index(item.findtext("name").strip())
                width = float(root.findtext("size/width"))
                right = float(item.findtext("bndbox/xmax")) / width
                assert np.isclose(boxes.of(row, c)[:, 2], right).any()
