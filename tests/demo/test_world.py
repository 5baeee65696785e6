"""The demo's world: its names, its pictures and how its classes are spread."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from mlrpl.demo import archives
from mlrpl.demo.drawing import draw_scene
from mlrpl.demo.shapes import SHAPES, shape_mask
from mlrpl.demo.world import (
    COCO_WORLD,
    COLOURS,
    HOME,
    PATTERNS,
    Category,
    Look,
)
from support.demo_scenes import SPLITS, WORLDS, painted, visible_boxes


@pytest.mark.parametrize("world", WORLDS.values(), ids=WORLDS)
def test_names_are_shapes_with_a_shared_attribute(world):
    assert len(set(world.names)) == len(world.names)
    for name in world.names:
        *attribute, shape = name.split()
        assert shape in SHAPES and shape in HOME
        assert len(attribute) <= 1
        assert not attribute or attribute[0] in (*PATTERNS, *COLOURS)
    pairs = [name.split() for name in world.names if " " in name]
    assert len(pairs) > len(world.names) / 2
    shared = [
        word
        for word, count in Counter(word for pair in pairs for word in pair).items()
        if count > 1
    ]
    assert all(any(word in shared for word in pair) for pair in pairs)
    for pair in world.company:
        assert set(pair) <= set(world.names)


def test_category_of_a_look():
    striped = Look("ball", "striped", "red", "blue")
    assert Category("striped ball").matches(striped)
    assert not Category("red ball").matches(striped)
    assert not Category("striped kite").matches(striped)
    plain = Look("ball", None, "red", "blue")
    assert Category("red ball").matches(plain)
    assert not Category("blue ball").matches(plain)
    assert Category("ball").matches(plain) and Category("ball").matches(striped)
    assert COCO_WORLD.category_of(Look("ball", "checkered", "red", "blue")) is None


@pytest.mark.parametrize("world", WORLDS.values(), ids=WORLDS)
def test_no_look_has_two_categories(world):
    for shape in SHAPES:
        for pattern in (None, *PATTERNS):
            for colour in COLOURS:
                look = Look(shape, pattern, colour, "white")
                assert sum(c.matches(look) for c in world.categories) <= 1


def test_what_is_seen_equals_a_painting_of_the_masks():
    hidden = 0
    for number in range(40):
        scene = archives.VOC_TEST.scene(number)
        boxes = visible_boxes(scene)
        for placed, (left, top, width, height, area) in zip(
            scene.placed, boxes, strict=True
        ):
            assert placed.box == (left, top, left + width, top + height)
            assert placed.area == area
            thing = placed.thing
            whole = (shape_mask(thing.look.shape, thing.size, thing.angle) > 127).sum()
            assert placed.seen == pytest.approx(area / whole)
            assert placed.seen >= archives.VOC_TEST.crowding.seen
            hidden += placed.seen < 0.99
    assert hidden > 20


def test_pictures_show_the_things_and_only_there():
    scene = archives.COCO_TRAIN.scene(3)
    assert len(scene.placed) >= 2
    for number, placed in enumerate(scene.placed):
        others = scene.placed[:number] + scene.placed[number + 1 :]
        with_it = np.asarray(draw_scene(scene), int)
        # Its own pixels change when it is painted in another colour, no others do.
        look = placed.thing.look
        recoloured = replace(look, colour=look.second, second=look.colour)
        if look.pattern is None:
            changed_thing = replace(placed.thing, look=recoloured)
            changed = replace(
                scene,
                placed=(
                    *others[:number],
                    replace(placed, thing=changed_thing),
                    *others[number:],
                ),
            )
            without = np.asarray(draw_scene(changed), int)
            differs = (abs(with_it - without).max(-1) > 0) & (painted(scene) != number)
            # Only the anti-aliased rim may reach beyond the mask.
            assert differs.sum() < 0.1 * placed.area


@pytest.mark.parametrize("name", SPLITS)
def test_every_class_in_both_splits_unevenly(name):
    world = WORLDS[name]
    for split in SPLITS[name]:
        scenes = [split.scene(number) for number in range(split.count)]
        labels = np.stack([scene.labels(world) for scene in scenes])
        counts = labels.sum(0)
        assert counts.min() >= 8
        assert counts.max() > 2 * counts.min()
        for first, second in world.company:
            a, b = (labels[:, world.names.index(n)] for n in (first, second))
            assert b[a].mean() > 1.1 * b[~a].mean()
        sizes = [p.thing.size for scene in scenes for p in scene.placed]
        assert min(sizes) < 60 and max(sizes) > 150
        assert 2 < np.mean([len(scene.placed) for scene in scenes]) < 5
