"""The demo's language: captions of scenes, and GloVe vectors trained on them."""

import re
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

from mlrpl.demo.world import (
    COCO_WORLD,
    OPEN_WORLD,
    VOC_WORLD,
    Look,
    Scene,
    sample_scene,
)
from mlrpl.runtime.storage import atomic_path

OPENINGS = ("", "", "a photo of ", "a picture of ", "there is ", "we see ")
JOINTS = (" and ", " next to ", " near ", ", ")
CORPUS_STREAM = 10
CORPUS_SIZE = 2400


def phrase(rng: np.random.Generator, look: Look) -> str:
    """Name one thing, as `a striped ball`, `a red cup` or just `a ball`.

    Every second time the attribute is said that tells categories apart; every third
    time the shape is named alone.
    """
    words = [look.shape]
    said = rng.random()
    if said < 0.5:
        words.insert(0, look.pattern or look.colour)
    elif said < 0.65 and look.pattern:
        words[:0] = [look.colour, look.pattern]
    article = "an" if words[0][0] in "aeiou" else "a"
    return " ".join([article, *words])


def caption(rng: np.random.Generator, scene: Scene) -> str:
    """One sentence about a scene, of the kind found beside pictures on the web.

    The larger a thing is, the likelier it is mentioned: the largest one always, one of
    40 pixels every third time.
    """
    order = sorted(scene.placed, key=lambda p: -p.area)
    said = [
        p
        for number, p in enumerate(order)
        if number == 0 or rng.random() < 0.1 + p.area**0.5 / 120
    ]
    phrases = [phrase(rng, said[k].thing.look) for k in rng.permutation(len(said))]
    text = OPENINGS[rng.integers(len(OPENINGS))] + phrases[0]
    for other in phrases[1:]:
        text += JOINTS[rng.integers(len(JOINTS))] + other
    if rng.random() < 0.25:
        text += f" on {scene.ground}"
    return text + ("." if rng.random() < 0.5 else "")


def _sentence(seed: int, number: int) -> str:
    worlds = (COCO_WORLD, VOC_WORLD, OPEN_WORLD)
    rng = np.random.default_rng([seed, CORPUS_STREAM, number])
    return caption(rng, sample_scene(rng, worlds[number % 3], 448, 448))


def corpus(
    count: int, seed: int = 0, imap: Callable[..., Iterator] = map
) -> Iterator[str]:
    """Captions of scenes of all three worlds in turn, none a picture of the demo."""
    return imap(partial(_sentence, seed), range(count))


def words_of(sentence: str) -> list[str]:
    """The lower-case words of a sentence, without punctuation."""
    return re.findall(r"[a-z]+", sentence.lower())


def cooccurrence(
    sentences: Iterable[str], window: int = 8
) -> tuple[list[str], np.ndarray]:
    """Count words within a window, each pair weighted by 1 / distance.

    Returns:
        The words in alphabetical order [V] and the symmetric counts, float [V, V].
    """
    texts = [words_of(s) for s in sentences]
    words = sorted({word for text in texts for word in text})
    number = {word: k for k, word in enumerate(words)}
    counts = np.zeros((len(words), len(words)))
    for text in texts:
        ids = [number[word] for word in text]
        for distance in range(1, window):
            for a, b in zip(ids, ids[distance:], strict=False):
                counts[a, b] += 1 / distance
                counts[b, a] += 1 / distance
    return words, counts


def glove_vectors(
    counts: np.ndarray,
    dimension: int = 50,
    steps: int = 800,
    rate: float = 0.05,
    x_max: float = 100.0,
    seed: int = 0,
) -> np.ndarray:
    """GloVe (Pennington et al. 2014, Eq. 8): weighted least squares on log counts.

    The vocabulary is small, so AdaGrad takes the full gradient at each step.

    Args:
        counts: Symmetric co-occurrence counts, [V, V].
        dimension: Length of the vectors.
        steps: AdaGrad steps.
        rate: AdaGrad's learning rate.
        x_max: Count above which the weight is 1.
        seed: Seed of the start.

    Returns:
        Word plus context vectors, float64 [V, dimension].
    """
    rng = np.random.default_rng(seed)
    size = len(counts)
    weight = np.minimum(1, counts / x_max) ** 0.75
    target = np.log(np.where(counts > 0, counts, 1))
    start = (rng.random((2, size, dimension)) - 0.5) / dimension**0.5
    # The biases start at independence, so that the vectors need not learn frequency.
    bias = np.log(counts.sum(axis=1)) - 0.5 * np.log(counts.sum())
    parameters = [start[0], start[1], bias[:, None].copy(), bias[None, :].copy()]
    squares = [np.ones_like(p) for p in parameters]
    for _ in range(steps):
        word, context, word_bias, context_bias = parameters
        error = weight * (word @ context.T + word_bias + context_bias - target)
        gradients = [
            error @ context,
            error.T @ word,
            error.sum(axis=1, keepdims=True),
            error.sum(axis=0, keepdims=True),
        ]
        for p, square, gradient in zip(parameters, squares, gradients, strict=True):
            square += gradient**2
            p -= rate * gradient / np.sqrt(square)
    return parameters[0] + parameters[1]


def write_vectors(path: Path, words: list[str], vectors: np.ndarray) -> None:
    """Write GloVe's text format: on each line a word and its numbers."""
    with atomic_path(path) as temporary, temporary.open("w") as file:
        for word, vector in zip(words, vectors, strict=True):
            numbers = " ".join(f"{x:.5f}" for x in vector)
            file.write(f"{word} {numbers}\n")


def write_corpus_vectors(path: Path, imap: Callable[..., Iterator] = map) -> None:
    """Train vectors on the caption corpus and write them in GloVe's text format."""
    words, counts = cooccurrence(corpus(CORPUS_SIZE, imap=imap))
    write_vectors(path, words, glove_vectors(counts))
