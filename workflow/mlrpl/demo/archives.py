"""The demo's two data sets as archives in the published layouts.

COCO 2014: two zip files of JPEGs and one of instances JSON. VOC 2007: two tar files of
JPEGs, annotation XML and image sets. The same seed gives the same bytes.
"""

import io
import json
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from mlrpl.demo.drawing import draw_scene
from mlrpl.demo.world import (
    COCO_WORLD,
    CROWDED,
    VOC_WORLD,
    Crowding,
    Placed,
    Scene,
    World,
    sample_scene,
)
from mlrpl.runtime.storage import atomic_path

SIZES = ((448, 448), (448, 400), (400, 448), (448, 360), (384, 448))
VOC_CROWDED = Crowding(
    shares=(0.1, 0.3, 0.4, 0.2),
    sizes=((24, 38), *CROWDED.sizes),
    seen=0.3,
)
VOC_FOLDER = "VOCdevkit/VOC2007"
SMALL_SIDE, LITTLE_SEEN = 30, 0.55


@dataclass(frozen=True)
class DrawnSplit:
    """One split of one demo data set: where its scenes come from, and how many."""

    world: World
    crowding: Crowding
    stream: int
    count: int

    def scene(self, number: int, seed: int = 0) -> Scene:
        """Scene `number` of the split; the other scenes do not matter to it."""
        rng = np.random.default_rng([seed, self.stream, number])
        width, height = SIZES[rng.integers(len(SIZES))]
        return sample_scene(rng, self.world, width, height, self.crowding)


COCO_TRAIN = DrawnSplit(COCO_WORLD, CROWDED, 1, 700)
COCO_VAL = DrawnSplit(COCO_WORLD, CROWDED, 2, 350)
VOC_TRAINVAL = DrawnSplit(VOC_WORLD, VOC_CROWDED, 3, 900)
VOC_TEST = DrawnSplit(VOC_WORLD, VOC_CROWDED, 4, 250)


def is_difficult(placed: Placed) -> bool:
    """Whether a thing is marked `difficult`: tiny, or largely hidden."""
    left, top, right, bottom = placed.box
    tiny = min(right - left, bottom - top) < SMALL_SIDE
    return tiny or placed.seen < LITTLE_SEEN


def _picture(split: DrawnSplit, seed: int, number: int) -> tuple[Scene, bytes]:
    scene = split.scene(number, seed)
    file = io.BytesIO()
    draw_scene(scene).save(file, "JPEG", quality=92)
    return scene, file.getvalue()


def pictures(
    split: DrawnSplit, seed: int = 0, imap: Callable[..., Iterator] = map
) -> Iterator[tuple[Scene, bytes]]:
    """The scenes of a split with their JPEG files, in order, drawn by `imap`."""
    return imap(partial(_picture, split, seed), range(split.count))


def _zip_member(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    info = zipfile.ZipInfo(name, date_time=(2014, 9, 1, 0, 0, 0))
    info.external_attr = 0o644 << 16
    archive.writestr(info, content)


def _tar_member(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(f"{VOC_FOLDER}/{name}")
    info.size, info.mtime = len(content), 1194307200
    archive.addfile(info, io.BytesIO(content))


def coco_category_ids(world: World) -> dict[str, int]:
    """Category name -> id; the ids have gaps, as COCO's have."""
    return {name: 1 + k + k // 5 for k, name in enumerate(world.names)}


def _coco_annotations(
    world: World, scenes: list[Scene], ids: np.ndarray, names: list[str]
) -> dict:
    category_ids = coco_category_ids(world)
    images, annotations = [], []
    for scene, image_id, name in zip(scenes, ids.tolist(), names, strict=True):
        images.append(
            {
                "id": image_id,
                "file_name": name,
                "width": scene.width,
                "height": scene.height,
            }
        )
        for placed in scene.placed:
            if placed.thing.category is None:
                continue
            left, top, right, bottom = placed.box
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": category_ids[placed.thing.category],
                    "bbox": [left, top, right - left, bottom - top],
                    "area": placed.area,
                    "iscrowd": 0,
                    "segmentation": [],
                }
            )
    categories = [
        {"id": number, "name": name, "supercategory": name.split()[-1]}
        for name, number in category_ids.items()
    ]
    return {
        "info": {"description": "drawn demo world, COCO layout", "year": 2014},
        "images": images,
        "annotations": annotations,
        "categories": categories,
    }


def write_coco(
    folder: Path,
    splits: dict[str, DrawnSplit],
    seed: int = 0,
    imap: Callable[..., Iterator] = map,
) -> None:
    """Write `{split}2014.zip` for each split and `annotations_trainval2014.zip`."""
    annotations = {}
    for name, split in splits.items():
        rng = np.random.default_rng([seed, 100, split.stream])
        ids = rng.choice(580_000, split.count, replace=False) + 1
        files = [f"COCO_{name}2014_{image_id:012d}.jpg" for image_id in ids]
        scenes = []
        with (
            atomic_path(folder / f"{name}2014.zip") as path,
            zipfile.ZipFile(path, "w") as archive,
        ):
            for file, (scene, content) in zip(
                files, pictures(split, seed, imap), strict=True
            ):
                _zip_member(archive, f"{name}2014/{file}", content)
                scenes.append(scene)
        annotations[name] = _coco_annotations(split.world, scenes, ids, files)
    with (
        atomic_path(folder / "annotations_trainval2014.zip") as path,
        zipfile.ZipFile(path, "w") as archive,
    ):
        for name, content in annotations.items():
            text = json.dumps(content).encode()
            _zip_member(archive, f"annotations/instances_{name}2014.json", text)


def _voc_annotation(scene: Scene, name: str) -> bytes:
    root = ElementTree.Element("annotation")
    for tag, text in (("folder", "VOC2007"), ("filename", f"{name}.jpg")):
        ElementTree.SubElement(root, tag).text = text
    size = ElementTree.SubElement(root, "size")
    for tag, value in (("width", scene.width), ("height", scene.height), ("depth", 3)):
        ElementTree.SubElement(size, tag).text = str(value)
    for placed in scene.placed:
        if placed.thing.category is None:
            continue
        left, top, right, bottom = placed.box
        thing = ElementTree.SubElement(root, "object")
        for tag, value in (
            ("name", placed.thing.category),
            ("pose", "Unspecified"),
            ("truncated", int(placed.seen < 0.95)),
            ("difficult", int(is_difficult(placed))),
        ):
            ElementTree.SubElement(thing, tag).text = str(value)
        box = ElementTree.SubElement(thing, "bndbox")
        # VOC counts pixels from 1 and includes the last one.
        corners = (("xmin", left + 1), ("ymin", top + 1), ("xmax", right))
        for tag, value in (*corners, ("ymax", bottom)):
            ElementTree.SubElement(box, tag).text = str(value)
    ElementTree.indent(root, "\t")
    return ElementTree.tostring(root) + b"\n"


def _voc_presence(scene: Scene, category: str) -> int:
    """1 present, 0 only as `difficult`, -1 absent: VOC's image-set files."""
    found = [p for p in scene.placed if p.thing.category == category]
    if not found:
        return -1
    return 0 if all(map(is_difficult, found)) else 1


def write_voc(
    path: Path,
    split: DrawnSplit,
    imageset: str,
    first: int,
    seed: int = 0,
    imap: Callable[..., Iterator] = map,
) -> None:
    """Write one tar file: `VOCtrainval_06-Nov-2007.tar` or the test one.

    Args:
        path: The tar file.
        split: Scenes.
        imageset: `trainval` or `test`.
        first: Number of the first image; names have six digits.
        seed: Seed of the scenes.
        imap: Draws the scenes, in order: `map`, or that of `workers`.
    """
    names, scenes = [], []
    with atomic_path(path) as temporary, tarfile.open(temporary, "w") as archive:
        for number, (scene, content) in enumerate(pictures(split, seed, imap)):
            name = f"{first + number:06d}"
            _tar_member(archive, f"JPEGImages/{name}.jpg", content)
            xml = _voc_annotation(scene, name)
            _tar_member(archive, f"Annotations/{name}.xml", xml)
            names.append(name)
            scenes.append(scene)
        sets = {imageset: "".join(f"{name}\n" for name in names)}
        for category in split.world.names:
            sets[f"{category}_{imageset}"] = "".join(
                f"{name} {_voc_presence(scene, category):2d}\n"
                for name, scene in zip(names, scenes, strict=True)
            )
        for name, text in sets.items():
            _tar_member(archive, f"ImageSets/Main/{name}.txt", text.encode())


def write_archives(
    folder: Path, seed: int = 0, imap: Callable[..., Iterator] = map
) -> None:
    """Write all five archives of the demo into a folder, under their real names."""
    write_coco(folder, {"train": COCO_TRAIN, "val": COCO_VAL}, seed, imap)
    tar = folder / "VOCtrainval_06-Nov-2007.tar"
    write_voc(tar, VOC_TRAINVAL, "trainval", 1, seed, imap)
    tar = folder / "VOCtest_06-Nov-2007.tar"
    write_voc(tar, VOC_TEST, "test", VOC_TRAINVAL.count + 1, seed, imap)
