"""How many images, how large a feature, how many operations; nothing is loaded.

An operation is a floating-point multiplication or addition (2 for a multiply-add).
"""

import csv
import importlib.util
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlrpl.config import plan

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
# Width of the published GloVe vectors; the demo's are narrower, which changes little.
GLOVE_WIDTH = 300
# Tokens of a prompt besides its context: start, a name of three, full stop, end.
NAME_TOKENS = 6
# Widths a token that a block keeps for its backward pass: what is normalised, twice,
# query, key and value, and four that the activation gets.
KEPT_WIDTHS = 9
# Operations an entry of the attention's tensor: product, sigmoid, logit, weighted mean.
ATTENTION_OPERATIONS = 16


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
class Split:
    """Images and classes of one split; None if unknown.

    Attributes:
        basis: where the numbers are from: `index`, `published`, `labels` (a CSV's
            rows), `demo` (an upper bound) or `unknown`.
    """

    images: int | None
    classes: int | None
    basis: str


def count_split(config: Mapping[str, Any], dataset: str, split: str) -> Split:
    """Count a split's images: its index if there is one, else what is published."""
    index = Path(config["results"]) / "data" / dataset / f"{split}.h5"
    if shape := _stored_shapes(index, ("labels",)).get("labels"):
        return Split(shape[0], shape[1], "index")
    entry = config["datasets"][dataset]
    part = entry["splits"][split]
    file = entry["files"].get(part["images"], {})
    for key in ("sha256", "md5"):
        if found := PUBLISHED.get(file.get(key, "")):
            keep = entry["keep"] if entry["format"] == "coco" else ""
            classes = len(entry.get("classes") or "") or found.classes
            return Split(found.images[keep], classes, "published")
    if entry["format"] == "csv":
        return _count_rows(config, dataset, split)
    return _count_drawn(entry, part)


def _count_rows(config: Mapping[str, Any], dataset: str, split: str) -> Split:
    select = config["datasets"][dataset]["splits"][split].get("select")
    path = plan.split_source(config, dataset, split, "labels")
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file)
            header = rows.fieldnames or []
            images = sum(not select or row.get("split") == select for row in rows)
    except (OSError, ValueError, csv.Error):
        return Split(None, None, "unknown")
    return Split(
        images, len([c for c in header if c not in ("image", "split")]), "labels"
    )


def _count_drawn(entry: Mapping[str, Any], part: Mapping[str, Any]) -> Split:
    """Count what the demo will draw; an image without any object may be left out."""
    if str(entry["root"]) != MADE_FOLDER:
        return Split(None, None, "unknown")
    from mlrpl.demo import archives

    drawn = {
        "train2014.zip": archives.COCO_TRAIN,
        "val2014.zip": archives.COCO_VAL,
        "VOCtrainval_06-Nov-2007.tar": archives.VOC_TRAINVAL,
        "VOCtest_06-Nov-2007.tar": archives.VOC_TEST,
    }.get(part["images"])
    if drawn is None:
        return Split(None, None, "unknown")
    classes = entry.get("classes") or drawn.world.categories
    return Split(drawn.count, len(classes), "demo")


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
    def bytes(self) -> int:
        """Bytes of the map and of the image feature."""
        return self.map_bytes + self.embed * 2

    def read_bytes(self, visual: str) -> int:
        """Bytes that a visual module reads of an image."""
        return self.embed * 2 if visual == "global" else self.map_bytes


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
        return (
            content if {"embed_dim", "vision_cfg", "text_cfg"} <= set(content) else None
        )
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
        vocabulary: tokens.
        context: the longest prompt, in tokens.
    """

    width: int
    layers: int
    vocabulary: int
    context: int

    @property
    def bytes(self) -> int:
        """Bytes of `clip.safetensors`, in fp32."""
        return 4 * (12 * self.layers * self.width**2 + self.vocabulary * self.width)

    def training_bytes(self, rows: int) -> int:
        """Bytes of the blocks and of what their backward pass keeps, in fp32."""
        kept = KEPT_WIDTHS * rows * self.layers * self.width
        return 4 * (12 * self.layers * self.width**2 + kept)


def text_tower(config: Mapping[str, Any]) -> Text | None:
    """Return the size of the encoder's text tower; None if its config is not there."""
    model = model_config(config)
    if model is None:
        return None
    text = model["text_cfg"]
    return Text(
        text.get("width", 512),
        text.get("layers", 12),
        text.get("vocab_size", 49408),
        text.get("context_length", 77),
    )


def _context(options: Mapping[str, Any]) -> int:
    text = options["context_init"]
    return options["n_ctx"] if text == "random" else text.count("_") + 1


def prompt_tokens(options: Mapping[str, Any], text: Text) -> int:
    """Return the tokens of the longest prompt, for class names of three tokens."""
    return min(_context(options) + NAME_TOKENS, text.context)


def prompt_rows(options: Mapping[str, Any], text: Text, classes: int) -> int:
    """Return the rows that the text tower runs on; shared tokens stand there once."""
    tokens, shared = prompt_tokens(options, text), 1
    if options["prompts"] == "shared":
        shared += _context(options)
    return shared + classes * (tokens - shared)


def parameters(
    options: Mapping[str, Any], feature: Feature, text: Text, classes: int
) -> int:
    """Return the number of trained parameters, as `run.json` counts them."""
    k, d, j, c = feature.channels, feature.embed, options["joint_dim"], classes
    prompts = _context(options) * text.width
    prompts *= c if options["prompts"] == "class_specific" else 1
    visual = 0
    if options["visual"] == "semantic_decoupling":
        source = j if options["pooled"] == "fused" else k
        visual = k * j + GLOVE_WIDTH * j + j * j + j + j + 1 + source * d + d
    elif options["visual"] == "semantic_attention":
        j = d if options["projection"] == "clip" else j
        visual = k * c + k * j + j + j * d + d
    return visual + prompts + bool(options["scale_learned"])


def head_operations(
    options: Mapping[str, Any], feature: Feature, classes: int
) -> float:
    """Return the operations of the visual module on one image, forward."""
    n, k, d = feature.locations, feature.channels, feature.embed
    j, c = options["joint_dim"], classes
    if options["visual"] == "semantic_decoupling":
        attention = 2 * n * k * j + ATTENTION_OPERATIONS * c * n * j
        if options["pooled"] == "fused":
            return attention + 2 * c * j * d
        if c < n:  # the map to the text space goes over what is fewer
            return attention + 2 * (c * n * k + c * k * d)
        return attention + 2 * (n * k * d + c * n * d)
    if options["visual"] == "semantic_attention":
        j = d if options["projection"] == "clip" else j
        return 2 * (n * k * c + n * k * j + c * n * j + c * j * d)
    return 2 * c * d


def training_operations(
    options: Mapping[str, Any],
    feature: Feature,
    text: Text,
    train: Split,
    test: Split,
) -> float | None:
    """Return the operations of one training with its tests; None if a size is unknown.

    A trained layer costs three times its forward pass, the frozen text tower twice.
    """
    if train.images is None or test.images is None or train.classes is None:
        return None
    head = head_operations(options, feature, train.classes)
    tokens = prompt_tokens(options, text)
    block = 12 * text.width**2 + 2 * tokens * text.width
    tower = 2 * prompt_rows(options, text, train.classes) * text.layers * block
    steps = math.ceil(train.images / options["batch_size"])
    tests = options["epochs"] // options["eval_every"]
    tests += bool(options["epochs"] % options["eval_every"] or not options["epochs"])
    epoch = 3 * train.images * head + 2 * steps * tower
    return options["epochs"] * epoch + tests * (test.images * head + tower)


def _stored_shapes(path: Path, names: tuple[str, ...]) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the arrays in an HDF5 file; none if it cannot be read."""
    if not path.is_file():
        return {}
    try:
        import h5py

        with h5py.File(path, "r") as file:
            return {name: file[name].shape for name in names}
    except (ImportError, OSError, KeyError):
        return {}
