"""The embedded demo: its world, archives, captions, vectors and small CLIP."""

import io
import json
import tarfile
import zipfile
from collections import Counter
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image
from safetensors import safe_open

from mlrpl.evaluation.average_precision import average_precision
from mlrpl.data import coco, voc
from mlrpl.demo import archives, clip, corpus
from mlrpl.demo.drawing import draw_scene
from mlrpl.demo.shapes import SHAPES, shape_mask
from mlrpl.demo.workers import workers
from mlrpl.demo.world import (
    COCO_WORLD,
    COLOURS,
    HOME,
    OPEN_WORLD,
    PATTERNS,
    VOC_WORLD,
    Category,
    Look,
    sample_scene,
)

WORLDS = {"coco": COCO_WORLD, "voc": VOC_WORLD}
SPLITS = {
    "coco": (archives.COCO_TRAIN, archives.COCO_VAL),
    "voc": (archives.VOC_TRAINVAL, archives.VOC_TEST),
}
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


# ------------------------------------------------------------------------- the world


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


# ---------------------------------------------------------------------- the archives


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


# --------------------------------------------------------------- captions and vectors


def test_captions_say_what_is_there_and_the_large_rather_than_the_small():
    said, there = Counter(), Counter()
    for number in range(300):
        rng = np.random.default_rng([1, number])
        scene = sample_scene(rng, OPEN_WORLD, 448, 448)
        words = corpus.words_of(corpus.caption(rng, scene))
        shapes = Counter(p.thing.look.shape for p in scene.placed)
        named = Counter(word for word in words if word in SHAPES)
        assert named and not named - shapes
        looks = [p.thing.look for p in scene.placed]
        colours = {c for look in looks for c in (look.colour, look.second)}
        patterns = {look.pattern for look in looks}
        for word in words:
            assert word not in COLOURS or word in colours
            assert word not in PATTERNS or word in patterns
        for placed in scene.placed:
            if shapes[placed.thing.look.shape] == 1:
                size = "small" if placed.area < 2500 else "large"
                there[size] += 1
                said[size] += named[placed.thing.look.shape]
    assert said["large"] / there["large"] > 1.3 * said["small"] / there["small"] > 0.3


def test_cooccurrence_against_pairs_counted_by_hand():
    words, counts = corpus.cooccurrence(["A ball, a key.", "key ball"], window=3)
    assert words == ["a", "ball", "key"]
    # a ball a key: distance 1: a-ball, ball-a, a-key; 2: a-a, ball-key. key ball: 1.
    expected = np.array([[1.0, 2.0, 1.0], [2.0, 0.0, 1.5], [1.0, 1.5, 0.0]])
    np.testing.assert_allclose(counts, expected)


def test_glove_fits_the_logarithms_of_the_counts():
    """Words of the same company get close vectors, and more steps a smaller loss."""
    rng = np.random.default_rng(0)
    topics = [["sun", "sand", "sea", "boat"], ["desk", "lamp", "book", "chair"]]
    sentences = [" ".join(rng.choice(topics[k % 2], 3)) for k in range(400)]
    sentences += [
        " ".join(rng.choice([w for t in topics for w in t], 2)) for _ in range(60)
    ]
    words, counts = corpus.cooccurrence(sentences)
    vectors = corpus.glove_vectors(counts, dimension=5)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    cosine = vectors @ vectors.T
    same = np.array(
        [[(a in topics[0]) == (b in topics[0]) for a in words] for b in words]
    )
    other = ~np.eye(len(words), dtype=bool)
    assert cosine[same & other].mean() > 0.3 + cosine[~same].mean()
    np.testing.assert_array_equal(vectors, vectors)


@pytest.fixture(scope="module")
def vectors(tmp_path_factory):
    path = tmp_path_factory.mktemp("vectors") / "glove.txt"
    corpus.write_corpus_vectors(path)
    lines = [line.split(" ") for line in path.read_text().splitlines()]
    assert len({len(line) for line in lines}) == 1
    return {line[0]: np.array(line[1:], float) for line in lines}


def test_vectors_cover_every_word_of_every_class(vectors):
    words = {w for world in WORLDS.values() for n in world.names for w in n.split()}
    assert words <= set(vectors)
    table = np.stack([vectors[word] for word in sorted(words)])
    assert table.shape[1] == 50 and np.isfinite(table).all()
    unit = table / np.linalg.norm(table, axis=1, keepdims=True)
    assert (unit @ unit.T - np.eye(len(words))).max() < 0.98  # all different


def test_vectors_know_the_company_of_words(vectors):
    def cosine(a, b):
        a, b = vectors[a], vectors[b]
        return a @ b / np.linalg.norm(a) / np.linalg.norm(b)

    assert cosine("fish", "water") > cosine("fish", "brick")
    assert cosine("ball", "grass") > cosine("ball", "water")
    assert cosine("boat", "water") > cosine("boat", "wood")


# --------------------------------------------------------------------- the small CLIP

WEIGHTS = clip.CONFIG.with_suffix(".safetensors")


@pytest.fixture(scope="module")
def model():
    open_clip.add_model_config(clip.CONFIG)
    return open_clip.create_model(clip.NAME, pretrained=str(WEIGHTS)).eval()


def test_checkpoint_is_small_whole_and_loads_strictly(model):
    size = sum(path.stat().st_size for path in WEIGHTS.parent.iterdir())
    assert size <= 8e6
    with safe_open(WEIGHTS, "pt") as file:
        stored = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    state = model.state_dict()
    assert set(stored) == set(state)
    for name, tensor in stored.items():
        assert torch.isfinite(tensor).all()
        assert torch.equal(tensor.to(state[name].dtype), state[name])
    assert isinstance(model.visual, open_clip.modified_resnet.ModifiedResNet)
    assert 1 < model.logit_scale.exp() <= 100.1


def test_pool_window_over_the_whole_grid_is_clips_pooling(model):
    maps = torch.randn(2, 512, 7, 7, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        ours = clip.pool_window(model.visual.attnpool, maps, 0, 0)
        theirs = model.visual.attnpool(maps)
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", SPLITS)
def test_zero_shot_is_far_above_chance_and_far_from_perfect(model, name):
    world, split = WORLDS[name], SPLITS[name][1]
    scenes = [split.scene(10_000 + number) for number in range(64)]
    labels = np.stack([scene.labels(world) for scene in scenes])
    pictures = [draw_scene(scene).resize((448, 448)) for scene in scenes]
    pixels = np.stack([np.asarray(picture) for picture in pictures])
    tokens = open_clip.get_tokenizer(clip.NAME)(list(world.names))
    with torch.no_grad():
        text = model.encode_text(tokens, normalize=True)
        maps = clip.last_map(model.visual, clip.normalised(pixels))
        images = model.visual.attnpool(torch.nn.functional.avg_pool2d(maps, 2))
    targets = np.where(labels, 1, -1)
    seen = labels.any(0)
    found = average_precision((images @ text.T).numpy(), targets).envelope[seen].mean()
    chance = 100 * labels[:, seen].mean()
    assert 1.5 * chance < found < 75


def test_word_targets_share_one_among_the_words_said():
    targets = clip.word_targets([["A red ball.", "a ball on grass"], ["we see a key"]])
    said = [
        {clip.WORDS[k]: row[k].item() for k in row.nonzero()[:, 0]} for row in targets
    ]
    third = pytest.approx(1 / 3)
    assert said == [{"red": third, "ball": third, "grass": third}, {"key": 1.0}]


def test_the_training_runs_and_leaves_a_checkpoint_that_loads(tmp_path):
    def few(stage):
        drawing = replace(stage.drawing, count=32)
        return replace(stage, drawing=drawing, epochs=1, batch=16)

    recipe = clip.Recipe(few(clip.RECIPE.words), few(clip.RECIPE.contrast))
    clip.make_clip(tmp_path, recipe, threads=1)
    made = open_clip.create_model(
        clip.NAME, pretrained=str(tmp_path / "demo-rn.safetensors")
    )
    config = json.loads((tmp_path / "demo-rn.json").read_text())
    assert config == json.loads(clip.CONFIG.read_text())
    embedding = made.token_embedding.weight
    used = (embedding != 0).any(1).nonzero()[:, 0].tolist()
    words = open_clip.get_tokenizer(clip.NAME).decode(used)
    assert "striped" in words and "cat" not in words.split()
