"""The sizes of a benchmark: the paper's, and small ones that only show that it runs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_COCO = (
    "person,bicycle,car,motorcycle,airplane,bus,train,truck,boat,traffic light,"
    "fire hydrant,stop sign,parking meter,bench,bird,cat,dog,horse,sheep,cow,elephant,"
    "bear,zebra,giraffe,backpack,umbrella,handbag,tie,suitcase,frisbee,skis,snowboard,"
    "sports ball,kite,baseball bat,baseball glove,skateboard,surfboard,tennis racket,"
    "bottle,wine glass,cup,fork,knife,spoon,bowl,banana,apple,sandwich,orange,broccoli,"
    "carrot,hot dog,pizza,donut,cake,chair,couch,potted plant,bed,dining table,toilet,"
    "tv,laptop,mouse,remote,keyboard,cell phone,microwave,oven,toaster,sink,"
    "refrigerator,book,clock,vase,scissors,teddy bear,hair drier,toothbrush"
)
_VOC = (
    "aeroplane,bicycle,bird,boat,bottle,bus,car,cat,chair,cow,dining table,dog,horse,"
    "motorbike,person,potted plant,sheep,sofa,train,tv monitor"
)
COCO_NAMES = tuple(_COCO.split(","))
VOC_NAMES = tuple(_VOC.split(","))


@dataclass(frozen=True)
class DataSet:
    """A data set's class names, and how many images it has."""

    names: tuple[str, ...]
    train: int
    test: int


@dataclass(frozen=True)
class Sizes:
    """What is measured.

    Attributes:
        model: open_clip's name of the encoder, for the report.
        clip: its model config, in open_clip's form; None takes the one of that name.
        image_size: side of the encoder's input, in pixels.
        photo: width and height of the JPEGs, in pixels.
        images: JPEGs that are encoded.
        cached: images of the cache that is read.
        batch: B, images of a training step at which all methods are compared.
        own_batches: whether a method has its own number of images too, or this one.
        literal_batch: images of a literal implementation's step, at most.
        locations: L of the cached map.
        joint_dim: J, the width of the joint space.
        glove: G, the length of a class vector.
        n_ctx: M, the context vectors of a prompt.
        options: of methods, in place of their own.
        datasets: by their names in the config.
        epoch_batches: batches of which a time an epoch is made up.
        scored: images that are scored to measure an epoch's test.
        evaluated: images of the evaluation.
        many_images: training images of which labels, an epoch and metrics are measured.
        many_classes: classes of these.
        resampled: resamples of these images that are measured.
        matrix: side of the matrices by which multiplications are measured.
        copied: elements (fp32) by which copies and sigmoids are measured.
        repeats: how often something is measured, unless it takes longer than `budget`.
        budget: seconds after which no further repeat begins.
        apart: whether every method's step has a process of its own, without which its
            memory is not known on a CPU.
    """

    model: str
    clip: Mapping[str, Any] | None
    image_size: int
    photo: tuple[int, int]
    images: int
    cached: int
    batch: int
    own_batches: bool
    literal_batch: int
    locations: int
    joint_dim: int
    glove: int
    n_ctx: int
    options: Mapping[str, Any]
    datasets: Mapping[str, DataSet]
    epoch_batches: int
    scored: int
    evaluated: int
    many_images: int
    many_classes: int
    resampled: int
    matrix: int
    copied: int
    repeats: int
    budget: float
    apart: bool

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of the map, which is square."""
        side = round(self.locations**0.5)
        return side, side


def paper(device: str) -> Sizes:
    """Return the paper's sizes; on a CPU, fewer images and repeats stand for all.

    Eight images are the fewest (a power of two) for which the decoupling module does
    not keep its tensor for the backward pass, as it does not for the whole batch.
    """
    cuda = device == "cuda"
    return Sizes(
        model="RN101-quickgelu",
        clip=None,
        image_size=448,
        photo=(640, 480),
        images=2048 if cuda else 8,
        cached=4096 if cuda else 1024,
        batch=64,
        own_batches=True,
        literal_batch=64 if cuda else 8,
        locations=49,
        joint_dim=1024,
        glove=300,
        n_ctx=16,
        options={},
        datasets={
            "coco2014": DataSet(COCO_NAMES, 82_081, 40_137),
            "voc2007": DataSet(VOC_NAMES, 5_011, 4_952),
        },
        epoch_batches=20 if cuda else 1,
        scored=1024 if cuda else 16,
        evaluated=40_137,
        many_images=200_000,
        many_classes=2_000,
        resampled=1000,
        matrix=8192 if cuda else 2048,
        copied=2**28 if cuda else 2**26,
        repeats=10 if cuda else 3,
        budget=10 if cuda else 5,
        apart=True,
    )


def quick() -> Sizes:
    """Return sizes that take seconds and whose times mean nothing."""
    return Sizes(
        model="a small ModifiedResNet",
        clip={
            "embed_dim": 24,
            "quick_gelu": True,
            "vision_cfg": {
                "image_size": 64,
                "layers": [1, 1, 1, 1],
                "width": 8,
                "patch_size": None,
            },
            "text_cfg": {
                "context_length": 77,
                "vocab_size": 49408,
                "width": 16,
                "heads": 2,
                "layers": 2,
            },
        },
        image_size=128,
        photo=(96, 64),
        images=4,
        cached=32,
        batch=4,
        own_batches=False,
        literal_batch=2,
        locations=4,
        joint_dim=16,
        glove=8,
        n_ctx=4,
        options={
            "reduce_dim": 12,
            "attention_dim": 6,
            "output_dim": 8,
            "gcn_dim": 6,
            "pair_dim": 6,
            "pair_hidden": 8,
            "memory_size": 4,
            "prototypes": 3,
        },
        datasets={
            "coco2014": DataSet(COCO_NAMES[:12], 80, 40),
            "voc2007": DataSet(VOC_NAMES[:5], 50, 49),
        },
        epoch_batches=2,
        scored=8,
        evaluated=200,
        many_images=400,
        many_classes=20,
        resampled=20,
        matrix=128,
        copied=2**16,
        repeats=2,
        budget=1,
        apart=False,
    )
