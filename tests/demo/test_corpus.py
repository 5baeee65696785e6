"""The demo's captions, and the word vectors made of them."""

from collections import Counter

import numpy as np
import pytest

from mlrpl.demo import corpus
from mlrpl.demo.shapes import SHAPES
from mlrpl.demo.world import (
    COLOURS,
    OPEN_WORLD,
    PATTERNS,
    sample_scene,
)
from support.demo_scenes import WORLDS


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
