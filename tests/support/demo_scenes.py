"""The demo's splits, small ones, and what is seen in a scene."""

import numpy as np
from PIL import Image

from mlrpl.demo import archives
from mlrpl.demo.shapes import shape_mask
from mlrpl.demo.world import (
    COCO_WORLD,
    VOC_WORLD,
)

WORLDS = {"coco": COCO_WORLD, "voc": VOC_WORLD}
SPLITS = {
    "coco": (archives.COCO_TRAIN, archives.COCO_VAL),
    "voc": (archives.VOC_TRAINVAL, archives.VOC_TEST),
}


def painted(scene):
    """Which thing is seen at each pixel, painted one thing after the other."""
    canvas = Image.new("I", (scene.width, scene.height), -1)
    for number, placed in enumerate(scene.placed):
        thing = placed.thing
        mask = shape_mask(thing.look.shape, thing.size, thing.angle) > 127
        paint = Image.new("I", mask.shape, number)
        canvas.paste(paint, (thing.left, thing.top), Image.fromarray(mask))
    return np.asarray(canvas)


def visible_boxes(scene):
    """Left, top, width, height and area of what is seen of each thing."""
    owner = painted(scene)
    found = []
    for number in range(len(scene.placed)):
        y, x = np.nonzero(owner == number)
        size = np.ptp(x) + 1, np.ptp(y) + 1
        found.append([int(x.min()), int(y.min()), int(size[0]), int(size[1]), len(x)])
    return found
