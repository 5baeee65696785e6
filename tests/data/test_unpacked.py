"""Data that people keep unpacked: read where it lies, as its archives would be."""

import tarfile
import zipfile

import numpy as np
import pytest
import yaml

from mlrpl.archives.formats import open_archive
from mlrpl.config import raw_files
from mlrpl.data.index import Index
from support.workflow_tree import copy_tree, snakemake

SPLITS = [("coco2014", "train"), ("coco2014", "test"), ("voc2007", "train")]
SPLITS += [("voc2007", "test")]


def unpack(source, target):
    """Unpack every archive of a folder; make the result read-only."""
    for path in source.iterdir():
        if path.suffix == ".zip":
            with zipfile.ZipFile(path) as archive:
                archive.extractall(target)
        elif path.suffix == ".tar":
            with tarfile.open(path) as archive:
                archive.extractall(target, filter="data")
    folders = [target, *(path for path in target.rglob("*") if path.is_dir())]
    for folder in folders:
        folder.chmod(0o555)
    return folders


@pytest.mark.workflow
def test_unpacked_folders_give_the_index_of_the_archives(repository, photos, tmp_path):
    folder = copy_tree(repository, tmp_path / "tree")
    folders = unpack(photos / "coco-mini", tmp_path / "coco")
    folders += unpack(photos / "voc-mini", tmp_path / "voc")
    indexes = {}
    for name, coco, voc in (
        ("archives", photos / "coco-mini", photos / "voc-mini"),
        # As people keep it: the root above VOCdevkit, above VOC2007, or VOC2007 itself.
        ("unpacked", tmp_path / "coco", tmp_path / "voc/VOCdevkit/VOC2007"),
    ):
        empty = {"allow_empty_classes": True}
        over = {
            "results": f"results/{name}",
            "datasets": {
                "coco2014": {"root": str(coco), "keep": "all", **empty},
                "voc2007": {"root": str(voc), **empty},
            },
        }
        (folder / "own.yaml").write_text(yaml.safe_dump(over))
        targets = [f"results/{name}/data/{d}/{s}.h5" for d, s in SPLITS]
        done = snakemake(folder, *targets, "-c2", "--configfile", "own.yaml")
        assert done.returncode == 0, done.stdout[-3000:]
        indexes[name] = [Index.load(folder / target) for target in targets]
    for path in folders:
        path.chmod(0o755)
    shapes = [index.labels.shape for index in indexes["unpacked"]]
    assert shapes == [(120, 80), (90, 80), (60, 20), (40, 20)]
    for ours, archived, (dataset, _) in zip(
        indexes["unpacked"], indexes["archives"], SPLITS, strict=True
    ):
        np.testing.assert_array_equal(ours.labels, archived.labels)
        top = "" if dataset == "coco2014" else "VOCdevkit/VOC2007/"
        assert tuple(top + name for name in ours.images) == archived.images
    image = indexes["unpacked"][0].images[7]
    with (
        open_archive(tmp_path / "coco") as plain,
        open_archive(photos / "coco-mini/train2014.zip") as archive,
    ):
        assert plain.read(image) == archive.read(image)


def dataset(form, root, **split):
    entry = {"format": form, "root": str(root), "splits": {"s": split}}
    entry["same_images_as"] = None
    return {
        "datasets": {"d": entry},
        "data_dir": "data",
    }


@pytest.mark.parametrize("below", ["", "VOC2007/", "VOCdevkit/VOC2007/"])
def test_a_voc_root_at_any_height(tmp_path, below):
    config = dataset("voc", tmp_path, images="trainval.tar", imageset="trainval")
    missing = str(tmp_path / "trainval.tar")
    assert raw_files.split_source(config, "d", "s", "images") == missing
    (tmp_path / below / "JPEGImages").mkdir(parents=True)
    assert raw_files.split_source(config, "d", "s", "images") == str(tmp_path)
    (tmp_path / "trainval.tar").touch()  # what is packed comes first
    assert raw_files.split_source(config, "d", "s", "images") == missing


def test_a_coco_root_that_has_one_of_the_two_unpacked(tmp_path):
    split = {"images": "i.zip", "prefix": "train2014/", "annotations": "a.zip"}
    config = dataset("coco", tmp_path, member="annotations/x.json", **split)
    (tmp_path / "train2014").mkdir()
    (tmp_path / "a.zip").touch()
    assert raw_files.split_source(config, "d", "s", "images") == str(tmp_path)
    assert raw_files.split_source(config, "d", "s", "annotations") == (
        str(tmp_path / "a.zip")
    )
    (tmp_path / "a.zip").unlink()
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations/x.json").touch()
    assert raw_files.split_source(config, "d", "s", "annotations") == str(tmp_path)
