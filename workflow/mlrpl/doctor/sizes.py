"""How many images, how large a feature, how many operations; nothing is loaded.

An operation is a floating-point multiplication or addition (2 for a multiply-add).
"""

import csv
import importlib.util
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlrpl.config import plan, raw_files

# What rule demo_world makes: the files of the demo's `root:` before its first run.
MADE_FOLDER = "results/demo/world"
MADE = (
    "train2014.zip",
    "val2014.zip",
    "annotations_trainval2014.zip",
    "VOCtrainval_06-Nov-2007.tar",
    "VOCtest_06-Nov-2007.tar",
    "glove.txt",
)


@dataclass(frozen=True)
class Published:
    """A published archive of images: the number of images by `keep`, and classes."""

    images: Mapping[str, int]
    classes: int


# By the archive's hash, so that other files of the same name are not taken for these.
PUBLISHED = {
    "0da8c0bd3d6becc4dcb32757491aca88": Published(
        {"labelled": 82081, "all": 82783}, 80
    ),
    "a3d79f5ed8d289b7a7554ce06a5782b3": Published(
        {"labelled": 40137, "all": 40504}, 80
    ),
    "7d8cd951101b0957ddfd7a530bdc8a94f06121cfc1e511bb5937e973020c7508": Published(
        {"": 5011}, 20
    ),
    "6836888e2e01dca84577a849d339fa4f73e1e4f135d312430c4856b5609b4892": Published(
        {"": 4952}, 20
    ),
}


@dataclass(frozen=True)
class SplitCount:
    """Images and classes of one split; None if unknown.

    Attributes:
        basis: where the numbers are from: `index`, `published`, `labels` (a CSV's
            rows), `demo` (an upper bound) or `unknown`.
    """

    images: int | None
    classes: int | None
    basis: str


def count_split(config: Mapping[str, Any], dataset: str, split: str) -> SplitCount:
    """Count a split's images: its index if there is one, else what is published."""
    folder = Path(config["results"]) / "data" / plan.images_of(config, dataset)
    index = folder / f"{split}.h5"
    if shape := _stored_shapes(index, ("labels",)).get("labels"):
        return SplitCount(shape[0], shape[1], "index")
    entry = config["datasets"][dataset]
    part = entry["splits"][split]
    file = entry["files"].get(part["images"], {})
    for key in ("sha256", "md5"):
        if found := PUBLISHED.get(file.get(key, "")):
            keep = entry["keep"] if entry["format"] == "coco" else ""
            classes = len(entry.get("classes") or "") or found.classes
            return SplitCount(found.images[keep], classes, "published")
    if entry["format"] == "csv":
        return _count_rows(config, dataset, split)
    return _count_drawn(entry, part)


def _count_rows(config: Mapping[str, Any], dataset: str, split: str) -> SplitCount:
    select = config["datasets"][dataset]["splits"][split].get("select")
    path = raw_files.split_source(config, dataset, split, "labels")
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file)
            header = rows.fieldnames or []
            images = sum(not select or row.get("split") == select for row in rows)
    except (OSError, ValueError, csv.Error):
        return SplitCount(None, None, "unknown")
    return SplitCount(
        images, len([c for c in header if c not in ("image", "split")]), "labels"
    )


def _count_drawn(entry: Mapping[str, Any], part: Mapping[str, Any]) -> SplitCount:
    """Count what the demo will draw; an image without any object may be left out."""
    if str(entry["root"]) != MADE_FOLDER:
        return SplitCount(None, None, "unknown")
    from mlrpl.demo import archives

    drawn = {
        "train2014.zip": archives.COCO_TRAIN,
        "val2014.zip": archives.COCO_VAL,
        "VOCtrainval_06-Nov-2007.tar": archives.VOC_TRAINVAL,
        "VOCtest_06-Nov-2007.tar": archives.VOC_TEST,
    }.get(part["images"])
    if drawn is None:
        return SplitCount(None, None, "unknown")
    classes = entry.get("classes") or drawn.world.categories
    return SplitCount(drawn.count, len(classes), "demo")


@dataclass(frozen=True)
class Feature:
    """What is cached of one view of an image, in fp16.

    Attributes:
        locations: L of the 2x2-pooled map.
        channels: K of the map.
        embed: D of the image feature and the text features.
    """

    locations: int
    channels: int
    embed: int

    @property
    def map_bytes(self) -> int:
        """Bytes of the map."""
        return self.locations * self.channels * 2

    @property
    def max_bytes(self) -> int:
        """Bytes of the maximum over the locations of the map before it is pooled."""
        return self.channels * 2

    @property
    def bytes(self) -> int:
        """Bytes of the map, of its maximum and of the image feature."""
        return self.map_bytes + self.max_bytes + self.embed * 2

    @property
    def token_bytes(self) -> int:
        """Bytes of the tokens, of which the pooling makes one location of four."""
        return 4 * self.locations * self.embed * 2

    def read_bytes(self, reads: str) -> int:
        """Bytes that a method reads of an image (`Head.reads`)."""
        sizes = {
            "global": self.embed * 2,
            "max": self.max_bytes,
            "tokens": self.token_bytes,
        }
        return sizes.get(reads, self.map_bytes)


def feature_shape(config: Mapping[str, Any]) -> Feature | None:
    """Return the shape of a feature: of the model config, else of a feature file."""
    size = config["encoder"]["image_size"]
    model = model_config(config)
    vision = (model or {}).get("vision_cfg", {})
    if model and isinstance(vision.get("layers"), list):
        grid = _resnet_grid(size)
        # layer4 of a bottleneck network: 8 times the width, expanded 4 times
        return Feature(grid**2, 32 * vision.get("width", 64), model["embed_dim"])
    if model and vision.get("patch_size") and not vision.get("timm_model_name"):
        grid = size // vision["patch_size"] // 2
        return Feature(grid**2, vision.get("width", 768), model["embed_dim"])
    for path in sorted(Path(config["results"]).glob("features/*/*/*.h5")):
        shapes = _stored_shapes(path, ("map", "global"))
        if len(shapes) == 2:
            return Feature(*shapes["map"][2:], shapes["global"][2])
    return None


def model_config(config: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return open_clip's config of the encoder, read as a file; None without one.

    open_clip itself is not imported: torch would be.
    """
    model = config["encoder"]["model"]
    path = Path(model)
    if not model.endswith(".json"):
        found = importlib.util.find_spec("open_clip")
        if found is None or found.origin is None:
            return None
        path = Path(found.origin).parent / "model_configs" / f"{model}.json"
    try:
        content = json.loads(path.read_text())
        content = content.get("model_cfg", content)
        towers = (content.get("vision_cfg"), content.get("text_cfg"))
        whole = "embed_dim" in content and all(isinstance(t, dict) for t in towers)
        return content if whole else None
    except (OSError, ValueError, AttributeError):
        return None


def encode_operations(config: Mapping[str, Any]) -> float | None:
    """Return the operations of the image tower on one view; None if it is unknown."""
    model, size = model_config(config), config["encoder"]["image_size"]
    vision = (model or {}).get("vision_cfg", {})
    width = vision.get("width", 64)
    if isinstance(vision.get("layers"), list):
        return 2 * _resnet_products(size, width, vision["layers"])
    if not vision.get("patch_size") or vision.get("timm_model_name"):
        return None
    tokens = (size // vision["patch_size"]) ** 2 + 1
    block = tokens * 12 * width**2 + 2 * tokens**2 * width
    return 2.0 * (
        vision["layers"] * block + tokens * 3 * vision["patch_size"] ** 2 * width
    )


def _resnet_grid(size: int) -> int:
    """Return a side of the pooled map: a stem by 4, three halvings, the pooling."""
    side = (size + 1) // 2
    for _ in range(5):
        side //= 2
    return side


def _resnet_products(size: int, width: int, layers: list[int]) -> float:
    """Return the multiply-adds of CLIP's ModifiedResNet."""
    side = (size + 1) // 2
    products = side**2 * 9 * (3 * width // 2 + (width // 2) ** 2 + width // 2 * width)
    side //= 2
    channels = width
    for number, blocks in enumerate(layers):
        planes = width * 2**number
        for block in range(blocks):
            first = block == 0
            out = side // 2 if first and number else side
            products += side**2 * (channels * planes + 9 * planes**2)
            products += out**2 * 4 * planes**2
            if first:
                products += out**2 * channels * 4 * planes
            side, channels = out, 4 * planes
    return products


@dataclass(frozen=True)
class Text:
    """The text tower's size.

    Attributes:
        width: of its residual stream.
        layers: transformer blocks.
        heads: of its attention.
        vocabulary: tokens.
        context: the longest prompt, in tokens.
    """

    width: int
    layers: int
    heads: int
    vocabulary: int
    context: int

    @property
    def bytes(self) -> int:
        """Bytes of `clip.safetensors`, in fp32."""
        return 4 * (12 * self.layers * self.width**2 + self.vocabulary * self.width)


def text_tower(config: Mapping[str, Any]) -> Text | None:
    """Return the size of the encoder's text tower; None if its config is not there."""
    model = model_config(config)
    if model is None:
        return None
    text = model["text_cfg"]
    return Text(
        text.get("width", 512),
        text.get("layers", 12),
        text.get("heads", 8),
        text.get("vocab_size", 49408),
        text.get("context_length", 77),
    )


def _stored_shapes(path: Path, names: tuple[str, ...]) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the arrays in an HDF5 file; none if it cannot be read."""
    if not path.is_file():
        return {}
    try:
        import h5py

        with h5py.File(path, "r", locking=False) as file:
            return {name: file[name].shape for name in names}
    except (ImportError, OSError, RuntimeError, KeyError, AttributeError):
        return {}
