"""The demo's archives: annotations, image sets and JPEG files."""

import io
import json
import tarfile
import zipfile
from collections import Counter
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from mlrpl.data import coco, voc
from mlrpl.demo import archives
from mlrpl.demo.drawing import draw_scene
from mlrpl.demo.workers import workers
from mlrpl.demo.world import (
    COCO_WORLD,
    VOC_WORLD,
)
from support.demo_scenes import visible_boxes

FEW = 8


def few(split):
    return replace(split, count=FEW)


def write_few(folder, processes):
    splits = {"train": few(archives.COCO_TRAIN), "val": few(archives.COCO_VAL)}
    test = few(archives.VOC_TEST)
    with workers(processes) as imap:
        archives.write_coco(folder, splits, imap=imap)
        archives.write_voc(folder / "test.tar", test, "test", 7, imap=imap)


@pytest.fixture(scope="module")
def few_archives(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    write_few(folder, processes=1)
    return folder


def test_same_bytes_again_with_two_processes(few_archives, tmp_path):
    write_few(tmp_path, processes=2)
    names = sorted(path.name for path in few_archives.iterdir())
    assert names == sorted(path.name for path in tmp_path.iterdir())
    assert len(names) == 4
    for name in names:
        assert (tmp_path / name).read_bytes() == (few_archives / name).read_bytes()


def test_another_seed_is_another_world(few_archives, tmp_path):
    archives.write_coco(tmp_path, {"train": few(archives.COCO_TRAIN)}, seed=1)
    ours, theirs = (f / "train2014.zip" for f in (few_archives, tmp_path))
    assert ours.read_bytes() != theirs.read_bytes()


@pytest.mark.parametrize("name", ["train", "val"])
def test_coco_annotations_equal_the_drawn_things(few_archives, name):
    split = {"train": archives.COCO_TRAIN, "val": archives.COCO_VAL}[name]
    with zipfile.ZipFile(few_archives / "annotations_trainval2014.zip") as archive:
        member = f"annotations/instances_{name}2014.json"
        content = json.loads(archive.read(member))
    names = {c["id"]: c["name"] for c in content["categories"]}
    assert tuple(names.values()) == COCO_WORLD.names
    assert max(names) > len(names)  # gaps
    for number, image in enumerate(content["images"]):
        scene = split.scene(number)
        assert (image["width"], image["height"]) == (scene.width, scene.height)
        drawn = [
            (placed.thing.category, *box)
            for placed, box in zip(scene.placed, visible_boxes(scene), strict=True)
            if placed.thing.category
        ]
        read = [
            (names[a["category_id"]], *a["bbox"], a["area"])
            for a in content["annotations"]
            if a["image_id"] == image["id"]
        ]
        assert read == drawn
    index = coco.read_index(
        few_archives / f"{name}2014.zip",
        few_archives / "annotations_trainval2014.zip",
        dataset="demo",
        split="train",
        member=member,
        keep="all",
        prefix=f"{name}2014/",
        allow_empty_classes=True,
    )
    labels = [split.scene(number).labels(COCO_WORLD) for number in range(FEW)]
    np.testing.assert_array_equal(index.labels, np.where(labels, 1, -1))


def test_voc_annotations_equal_the_drawn_things(few_archives):
    path = few_archives / "test.tar"
    with tarfile.open(path) as archive:
        members = {m.name: archive.extractfile(m).read() for m in archive}
    base = "VOCdevkit/VOC2007"
    stems = members[f"{base}/ImageSets/Main/test.txt"].decode().split()
    assert stems == [f"{7 + number:06d}" for number in range(FEW)]
    for number, stem in enumerate(stems):
        scene = archives.VOC_TEST.scene(number)
        root = ElementTree.fromstring(members[f"{base}/Annotations/{stem}.xml"])
        assert int(root.find("size/width").text) == scene.width
        read = []
        for thing in root.findall("object"):
            xmin, ymin, xmax, ymax = (
                int(thing.find(f"bndbox/{k}").text)
                for k in ("xmin", "ymin", "xmax", "ymax")
            )
            box = (xmin - 1, ymin - 1, xmax - xmin + 1, ymax - ymin + 1)
            read.append((thing.find("name").text, *box))
        drawn = [
            (placed.thing.category, *box[:4])
            for placed, box in zip(scene.placed, visible_boxes(scene), strict=True)
            if placed.thing.category
        ]
        assert read == drawn
    index = voc.read_index(
        path,
        "test",
        dataset="demo",
        split="test",
        difficult="positive",
        classes=VOC_WORLD.names,
        allow_empty_classes=True,
    )
    labels = [archives.VOC_TEST.scene(n).labels(VOC_WORLD) for n in range(FEW)]
    np.testing.assert_array_equal(index.labels, np.where(labels, 1, -1))


def test_voc_image_sets_of_a_class(few_archives):
    with tarfile.open(few_archives / "test.tar") as archive:
        for category in VOC_WORLD.names:
            member = f"VOCdevkit/VOC2007/ImageSets/Main/{category}_test.txt"
            lines = archive.extractfile(member).read().decode().splitlines()
            for number, line in enumerate(lines):
                placed = archives.VOC_TEST.scene(number).placed
                mine = [p for p in placed if p.thing.category == category]
                easy = [p for p in mine if not archives.is_difficult(p)]
                value = 1 if easy else (0 if mine else -1)
                assert int(line.split()[1]) == value


def test_difficult_things_are_tiny_or_hidden():
    kinds = Counter()
    for number in range(100):
        for placed in archives.VOC_TRAINVAL.scene(number).placed:
            left, top, right, bottom = placed.box
            tiny = min(right - left, bottom - top) < 30
            hidden = placed.seen < 0.55
            assert archives.is_difficult(placed) == (tiny or hidden)
            kinds["tiny"] += tiny
            kinds["hidden"] += hidden
            kinds["all"] += 1
    assert kinds["tiny"] >= 20 and kinds["hidden"] >= 5
    assert kinds["tiny"] + kinds["hidden"] < 0.3 * kinds["all"]


def test_jpegs(few_archives):
    with zipfile.ZipFile(few_archives / "train2014.zip") as archive:
        names = archive.namelist()
        assert len(names) == FEW
        sizes = set()
        for number, name in enumerate(names):
            image = Image.open(io.BytesIO(archive.read(name)))
            assert (image.format, image.mode) == ("JPEG", "RGB")
            scene = archives.COCO_TRAIN.scene(number)
            assert image.size == (scene.width, scene.height)
            assert max(image.size) == 448 and min(image.size) >= 360
            sizes.add(image.size)
            drawn = np.asarray(draw_scene(scene), float)
            assert abs(np.asarray(image, float) - drawn).mean() < 8
        assert len(sizes) > 1
