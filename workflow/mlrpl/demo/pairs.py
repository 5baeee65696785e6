"""Pictures of the drawn world with captions, for the training of the demo's CLIP."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from tqdm import tqdm

from mlrpl.demo.corpus import caption
from mlrpl.demo.drawing import draw_scene
from mlrpl.demo.workers import workers
from mlrpl.demo.world import OPEN_WORLD, Crowding, sample_scene

CAPTIONS = 4  # of each picture


@dataclass(frozen=True)
class Drawing:
    """Which pictures to draw: their random stream, side in pixels, things, number."""

    stream: int
    side: int
    crowding: Crowding
    count: int


@dataclass(frozen=True)
class Pair:
    """A picture, uint8 [S, S, 3], and its captions."""

    picture: np.ndarray
    captions: list[str]


def _pair(drawing: Drawing, seed: int, number: int) -> Pair:
    rng = np.random.default_rng([seed, drawing.stream, number])
    side = drawing.side
    scene = sample_scene(rng, OPEN_WORLD, side, side, drawing.crowding)
    captions = [caption(rng, scene) for _ in range(CAPTIONS)]
    return Pair(np.asarray(draw_scene(scene)), captions)


def draw_pairs(drawing: Drawing, seed: int, processes: int) -> Iterator[Pair]:
    """Draw the pairs in order, several processes at once."""
    with workers(processes) as imap:
        pairs = imap(partial(_pair, drawing, seed), range(drawing.count))
        yield from tqdm(pairs, "draw", drawing.count, unit="picture")
