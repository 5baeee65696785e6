"""COCO instances JSON to labels, against the published lists."""

import json
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest

from mlrpl.data import coco
from mlrpl.data.index import Index
from support.data_files import NAMED, fails, write_zip

CATEGORY_STEP = 7  # ids with gaps, in the file in another order than by id


def coco_json(names, ids, labels, classes, seed=0) -> dict:
    """Objects for a label matrix: one to three boxes a class, some of them crowds."""
    random = np.random.RandomState(seed)
    rows, columns = np.nonzero(labels)
    times = random.randint(1, 4, len(rows))
    rows, columns = np.repeat(rows, times), np.repeat(columns, times)
    order = random.permutation(len(rows))
    crowd = random.random_sample(len(rows)) < 0.02
    annotations = [
        {
            "id": k + 1,
            "image_id": int(ids[rows[i]]),
            "category_id": int(columns[i]) * CATEGORY_STEP + 1,
            "iscrowd": int(crowd[i]),
            "bbox": [1.0, 2.0, 3.0, 4.0],
            "area": 12.0,
            "segmentation": [[1.0, 2.0, 4.0, 2.0, 4.0, 6.0]]
            if not crowd[i]
            else {"counts": [3, 4, 5], "size": [3, 4]},
        }
        for k, i in enumerate(order)
    ]
    categories = [
        {"id": c * CATEGORY_STEP + 1, "name": str(name), "supercategory": "x"}
        for c, name in enumerate(classes)
    ]
    return {
        "info": {},
        "images": [
            {"id": int(i), "file_name": str(n), "width": 9, "height": 9}
            for i, n in zip(ids, names, strict=True)
        ],
        "annotations": annotations,
        "categories": categories[::-1],
    }


@pytest.mark.parametrize("split", ["train", "val"])
def test_coco_labels_equal_the_published_lists(split, oracles, tmp_path):
    """82,081 and 40,137 images; as in 2014 some more have no object at all."""
    data = np.load(oracles / f"coco2014_{split}_labels.npz")
    names, ids, labels = data["file_name"], data["image_id"], data["labels"]
    blank = {"train": 702, "val": 367}[split]
    spread = np.linspace(0, len(ids), blank, dtype=int)
    all_ids = np.insert(ids, spread, 10_000_000 + np.arange(blank))
    all_names = np.insert(
        names.astype("U40"), spread, [f"blank{i:05}.jpg" for i in range(blank)]
    )
    all_labels = np.insert(labels, spread, 0, axis=0)
    content = coco_json(all_names, all_ids, all_labels, data["classes"])
    folder = f"{split}2014"
    images = write_zip(tmp_path / "i.zip", {f"{folder}/{n}": b"" for n in all_names})
    annotations = tmp_path / "annotations.zip"
    with zipfile.ZipFile(annotations, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("annotations/instances.json", json.dumps(content))
        file.writestr("annotations/captions.json", "{}")

    def read(keep: str) -> Index:
        return coco.read_index(
            images,
            annotations,
            member="annotations/instances.json",
            prefix=f"{folder}/",
            keep=keep,
            **NAMED,
        )

    index = read("labelled")
    assert index.classes == tuple(data["classes"])
    assert index.images == tuple(f"{folder}/{name}" for name in names)
    np.testing.assert_array_equal(index.labels, np.where(labels, 1, -1))
    if split == "train":
        assert index.labels.shape == (82081, 80)
        # Counts that another group published, in alphabetical order of the classes.
        published = np.load(oracles / "mlgcn_coco_cooccurrence_alphabetical.npz")
        present = (index.labels == 1)[:, np.argsort(index.classes)].astype(int)
        together = present.T @ present
        np.testing.assert_array_equal(np.diag(together), published["nums"])
        off_diagonal = together - np.diag(np.diag(together))
        np.testing.assert_array_equal(off_diagonal, published["adj"])
        return
    index = read("all")
    assert index.labels.shape == (40504, 80)
    assert index.images == tuple(f"{folder}/{name}" for name in all_names)
    np.testing.assert_array_equal(index.labels, np.where(all_labels, 1, -1))


def test_coco_image_with_a_crowd_alone_is_labelled(tmp_path):
    content = small_coco()
    for annotation in content["annotations"]:
        annotation["iscrowd"] = 1
    index = read_coco(tmp_path, content)
    assert index.images == ("2.jpg", "1.jpg")
    np.testing.assert_array_equal(index.labels, [[1, -1], [-1, 1]])


def test_coco_mini_by_an_independent_reading(photos, tmp_path):
    """Real photographs and annotations, the labels collected by plain loops."""
    for split, number in (("train", 120), ("val", 90)):
        member = f"annotations/instances_{split}2014.json"
        archive = photos / "coco-mini/annotations_trainval2014.zip"
        index = coco.read_index(
            photos / f"coco-mini/{split}2014.zip",
            archive,
            member=member,
            keep="all",
            prefix=f"{split}2014/",
            allow_empty_classes=True,
            **NAMED,
        )
        raw = json.loads(zipfile.ZipFile(archive).read(member))
        names = {c["id"]: c["name"] for c in raw["categories"]}
        assert index.classes == tuple(names[i] for i in sorted(names))
        assert index.labels.shape == (number, 80)
        shown = {image["id"]: set() for image in raw["images"]}
        for annotation in raw["annotations"]:
            shown[annotation["image_id"]].add(names[annotation["category_id"]])
        for row, image in enumerate(raw["images"]):
            assert index.images[row] == f"{split}2014/{image['file_name']}"
            present = np.flatnonzero(index.labels[row] == 1)
            assert {index.classes[c] for c in present} == shown[image["id"]]
        assert set(np.unique(index.labels)) == {-1, 1}


def small_coco() -> dict:
    return {
        "images": [
            {"id": 20, "file_name": "2.jpg"},
            {"id": 30, "file_name": "3.jpg"},
            {"id": 10, "file_name": "1.jpg"},
        ],
        "annotations": [
            {"id": 1, "image_id": 10, "category_id": 9, "iscrowd": 0},
            {"id": 2, "image_id": 20, "category_id": 4, "iscrowd": 0},
        ],
        "categories": [{"id": 9, "name": "hot dog"}, {"id": 4, "name": "cat"}],
    }


def read_coco(folder: Path, content, **options) -> Index:
    images = write_zip(folder / "i.zip", {f"{i}.jpg": b"" for i in (1, 2, 3)})
    annotations = folder / "a.json"
    annotations.write_text(content if isinstance(content, str) else json.dumps(content))
    return coco.read_index(images, annotations, **{**NAMED, **options})


def test_coco_bad_files(tmp_path):
    def bad(match: str, content, **options) -> str:
        return fails(read_coco, tmp_path, content, match=match, **options)

    name = re.escape(str(tmp_path / "a.json"))
    assert read_coco(tmp_path, small_coco()).classes == ("cat", "hot dog")
    bad(f"^{name}: is not JSON", "{ broken")
    bad(f"^{name}: is not JSON", json.dumps(small_coco())[:-30])
    for key in ("images", "annotations", "categories"):
        content = small_coco()
        del content[key]
        bad(f"^{name}: is not a COCO instances file .*{key}", content)
    bad("is not a COCO instances file", "[1, 2]")
    bad("is not a COCO instances file", {**small_coco(), "annotations": [{"id": 1}]})
    content = small_coco()
    content["annotations"][1]["image_id"] = 77
    bad(f"^{name}: annotation 2 is for image 77,", content)
    content = small_coco()
    content["annotations"][1]["category_id"] = 5
    bad(f"^{name}: annotation 2 has category 5,", content)
    content = small_coco()
    content["images"][1]["id"] = 20
    bad(f"^{name}: images share an id", content)
    content = small_coco()
    content["images"][1]["file_name"] = "1.jpg"
    bad(f"^{name}: image 1.jpg is listed more than once", content, keep="all")
    content = small_coco()
    content["categories"][1]["name"] = "hot dog"
    bad(f"^{name}: class hot dog is listed more than once", content)
    content = small_coco()
    content["annotations"].pop()
    bad(f"^{name}: no image of d train has class cat;", content)
    index = read_coco(tmp_path, content, allow_empty_classes=True)
    np.testing.assert_array_equal(index.labels, [[-1, 1]])
    content["annotations"] = []
    bad("has no image for d train", content, allow_empty_classes=True)
    bad("keep: 'some' is not allowed", small_coco(), keep="some")
    content = small_coco()
    content["images"][0]["file_name"] = "4.jpg"
    archive = re.escape(str(tmp_path / "i.zip"))
    bad(f"^{name}: annotated image 4.jpg is not in {archive};", content)
    bad(
        f"x/2.jpg and 1 more is not in {archive}, which has 2",
        small_coco(),
        prefix="x/",
    )


def test_coco_member_must_be_named_among_several(tmp_path):
    images = write_zip(tmp_path / "i.zip", {f"{i}.jpg": b"" for i in (1, 2, 3)})
    text = json.dumps(small_coco())
    one = write_zip(tmp_path / "one.zip", {"annotations/x.json": text, "README": ""})
    assert coco.read_index(images, one, **NAMED).images == ("2.jpg", "1.jpg")
    two = write_zip(tmp_path / "two.zip", {"x.json": text, "y.json": text})
    fails(coco.read_index, images, two, match=r"2 JSON files \(x", **NAMED)
    fails(
        coco.read_index, images, two, member="z.json", match="holds no z.json", **NAMED
    )
