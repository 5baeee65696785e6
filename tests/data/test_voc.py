"""VOC's XML and image sets to labels, against the published lists."""

import re
import tarfile

import numpy as np
import pytest

from mlrpl.data import voc
from support.data_files import NAMED, fails, write_tar


def voc_files(ids, labels, classes, imageset: str) -> dict[str, str]:
    """Members of a VOC tar for labels 1, 0 (difficult only) and -1.

    A present class has one or two plain objects, sometimes beside a difficult one, and
    people have parts, whose names are no classes.
    """
    random = np.random.RandomState(len(ids))
    top = "VOCdevkit/VOC2007"
    files = {}
    for image_id, row in zip(ids, labels, strict=True):
        objects = []
        for c in np.flatnonzero(row >= 0):
            flags = [1] if row[c] == 0 else [0] * random.randint(1, 3)
            flags += [1] * random.randint(0, 2)
            random.shuffle(flags)
            part = "<part><name>head</name></part>" if classes[c] == "person" else ""
            objects += [
                f"<object><name>{classes[c]}</name><difficult>{flag}</difficult>"
                f"<bndbox><xmin>1</xmin></bndbox>{part}</object>"
                for flag in flags
            ]
        random.shuffle(objects)
        files[f"{top}/Annotations/{image_id}.xml"] = (
            f"<annotation><filename>{image_id}.jpg</filename><source><name>f</name>"
            f"</source>{''.join(objects)}</annotation>"
        )
        files[f"{top}/JPEGImages/{image_id}.jpg"] = ""
    # other ids are in the tar, other lists name them
    files[f"{top}/ImageSets/Main/{imageset}.txt"] = "".join(f"{i}\n" for i in ids)
    files[f"{top}/ImageSets/Main/aeroplane_{imageset}.txt"] = "000001 -1\n"
    files[f"{top}/ImageSets/Layout/{imageset}.txt"] = "000001\n"
    return files


@pytest.mark.parametrize("imageset", ["trainval", "test"])
def test_voc_labels_equal_the_published_lists(imageset, oracles, tmp_path):
    data = np.load(oracles / "voc2007_labels.npz")
    labels, ids, classes = data[imageset], data[f"{imageset}_ids"], data["classes"]
    tar = write_tar(tmp_path / "v.tar", voc_files(ids, labels, classes, imageset))
    for difficult, value in (("negative", -1), ("ignore", 0), ("positive", 1)):
        index = voc.read_index(tar, imageset, difficult=difficult, **NAMED)
        assert index.classes == tuple(classes)
        assert index.images == tuple(
            f"VOCdevkit/VOC2007/JPEGImages/{image_id}.jpg" for image_id in ids
        )
        np.testing.assert_array_equal(index.labels, np.where(labels, labels, value))
    if imageset == "trainval":
        index = voc.read_index(tar, imageset, **NAMED)
        full = np.load(oracles / "voc2007_known_label_masks.npz")["full"]
        np.testing.assert_array_equal(index.labels, full)
        published = np.load(oracles / "mlgcn_voc_cooccurrence.npz")
        present = (index.labels == 1).astype(int)
        together = present.T @ present
        np.testing.assert_array_equal(np.diag(together), published["nums"])
        off_diagonal = together - np.diag(np.diag(together))
        np.testing.assert_array_equal(off_diagonal, published["adj"])


def test_voc_order_and_subset_are_the_image_sets(oracles, tmp_path):
    """The list decides, in its own order, also with a label behind each id."""
    data = np.load(oracles / "voc2007_labels.npz")
    ids, labels = data["trainval_ids"][:300], data["trainval"][:300]
    files = voc_files(ids, labels, data["classes"], "trainval")
    rows = np.random.RandomState(1).permutation(300)[:200]
    name = "VOCdevkit/VOC2007/ImageSets/Main/mine.txt"
    files[name] = "\r\n".join(f"{ids[r]}  1" for r in rows) + "\r\n\r\n"
    index = voc.read_index(
        write_tar(tmp_path / "v.tar", files), "mine", difficult="ignore", **NAMED
    )
    np.testing.assert_array_equal(index.labels, labels[rows])


def test_voc_mini_by_an_independent_reading(photos):
    """Real XML, read here by regular expressions."""
    for name, imageset, number in (
        ("VOCtrainval_06-Nov-2007.tar", "trainval", 60),
        ("VOCtest_06-Nov-2007.tar", "test", 40),
    ):
        path = photos / "voc-mini" / name
        index = voc.read_index(
            path, imageset, allow_empty_classes=True, difficult="ignore", **NAMED
        )
        assert index.labels.shape == (number, 20)
        with tarfile.open(path) as tar:
            for row, image in enumerate(index.images):
                xml = image.replace("JPEGImages", "Annotations")[:-3] + "xml"
                text = tar.extractfile(xml).read().decode()
                expected = dict.fromkeys(index.classes, -1)
                for item in re.findall("<object>(.*?)</object>", text, re.DOTALL):
                    item = re.sub("<part>.*?</part>", "", item, flags=re.DOTALL)
                    label = re.search(r"<name>\s*(\w+)", item)[1]
                    hard = re.search(r"<difficult>\s*1", item)
                    expected[label] = max(expected[label], 0 if hard else 1)
                assert index.labels[row].tolist() == list(expected.values())


def test_voc_folder_and_own_classes(tmp_path):
    folder = tmp_path / "VOC2099"
    (folder / "JPEGImages").mkdir(parents=True)
    (folder / "Annotations").mkdir()
    (folder / "ImageSets/Main").mkdir(parents=True)
    (folder / "ImageSets/Main/all.txt").write_text("b\na\n")
    for stem, suffix, name in (("a", ".png", "wolf"), ("b", ".jpg", "elk")):
        (folder / f"JPEGImages/{stem}{suffix}").touch()
        (folder / f"Annotations/{stem}.xml").write_text(
            f"<annotation><object><name> {name} </name></object></annotation>"
        )
    for root, prefix in ((folder, ""), (tmp_path, "VOC2099/")):
        index = voc.read_index(root, "all", classes=["wolf", "elk"], **NAMED)
        assert index.classes == ("wolf", "elk")
        assert index.images == (
            f"{prefix}JPEGImages/b.jpg",
            f"{prefix}JPEGImages/a.png",
        )
        np.testing.assert_array_equal(index.labels, [[-1, 1], [1, -1]])


def test_voc_bad_files(oracles, tmp_path):
    data = np.load(oracles / "voc2007_labels.npz")
    ids, labels, classes = data["test_ids"], data["test"], data["classes"]
    good = voc_files(ids[:400], labels[:400], classes, "test")
    path = tmp_path / "v.tar"
    top = "VOCdevkit/VOC2007"
    xml = f"{top}/Annotations/{ids[7]}.xml"

    def bad(match: str, changes: dict, imageset="test", **options) -> str:
        files = {**good, **changes}
        write_tar(
            path, {name: text for name, text in files.items() if text is not None}
        )
        return fails(
            voc.read_index, path, imageset, match=match, **{**NAMED, **options}
        )

    where = re.escape(str(path))
    bad(
        f"^{where}: has no ImageSets/Main/val.txt; the image sets there are: ",
        {},
        "val",
    )
    bad(f"^{where}: {top}/Image.*{ids[7]} has no annotation {xml}", {xml: None})
    jpeg = f"{top}/JPEGImages/{ids[7]}.jpg"
    bad(f"^{where}: .*annotated image {jpeg} is not in {where}", {jpeg: None})
    bad(f"^{where}: {xml}: is not XML", {xml: "<annotation><object>"})
    text = "<annotation><object><name>unicorn</name></object></annotation>"
    bad(
        f"^{where}: {xml}: object 'unicorn' is not one of the classes aero", {xml: text}
    )
    bad(f"{xml}: object '' is not one of", {xml: "<annotation><object/></annotation>"})
    text = text.replace("unicorn", "cat").replace(
        "</obj", "<difficult>?</difficult></obj"
    )
    bad(f"^{where}: {xml}: difficult is '\\?'", {xml: text})
    lists = f"{top}/ImageSets/Main/test.txt"
    bad("image .* is listed more than once", {lists: f"{ids[3]}\n{ids[3]}\n"})
    bad("has no image for d train", {lists: "\n"})
    bad(
        "no image of d train has class aeroplane, .*, train, tvmonitor; remove",
        {lists: f"{ids[0]}\n"},
    )
    bad("several years", {"VOCdevkit/VOC2012/ImageSets/Main/test.txt": "1\n"})
    bad("difficult: 'maybe' is not allowed", {}, difficult="maybe")
