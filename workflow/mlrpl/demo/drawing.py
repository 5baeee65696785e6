"""From a scene to pixels: textured ground, clutter, patterned things, sensor noise."""

from functools import reduce

import numpy as np
from PIL import Image, ImageDraw

from mlrpl.demo.shapes import shape_mask
from mlrpl.demo.world import COLOURS, PATTERNS, Scene, Thing

GROUND_COLOURS = {
    "grass": ((70, 110, 45), (120, 160, 80)),
    "sand": ((190, 165, 115), (225, 205, 160)),
    "water": ((40, 90, 130), (95, 150, 180)),
    "brick": ((130, 65, 50), (175, 105, 80)),
    "snow": ((205, 212, 225), (242, 245, 250)),
    "wood": ((115, 75, 45), (165, 120, 75)),
}
OUTLINE = np.array((38, 34, 32), dtype=np.float32)


def _noise(
    rng: np.random.Generator, width: int, height: int, cell_x: int, cell_y: int
) -> np.ndarray:
    """Smooth noise in 0..1, float32 [height, width], of the given cell in pixels."""
    coarse = rng.random((height // cell_y + 3, width // cell_x + 3), dtype=np.float32)
    image = Image.fromarray(coarse)
    size = (coarse.shape[1] * cell_x, coarse.shape[0] * cell_y)
    return np.asarray(image.resize(size, Image.Resampling.BILINEAR))[:height, :width]


def _ground(rng: np.random.Generator, kind: str, width: int, height: int) -> np.ndarray:
    """Textured ground, float32 [height, width, 3], 0..255."""
    cells = {"grass": (3, 12), "water": (24, 5), "wood": (40, 4)}.get(kind, (5, 5))
    level = 0.45 * _noise(rng, width, height, *cells)
    level += 0.35 * _noise(rng, width, height, 60, 60)
    level += 0.20 * _noise(rng, width, height, 2, 2)
    if kind == "brick":
        row, column = np.mgrid[0:height, 0:width]
        shift = (row // 18 % 2) * 20
        mortar = (row % 18 < 3) | ((column + shift) % 40 < 3)
        level = np.where(mortar, 1.3, level)
    dark, light = (np.array(c, dtype=np.float32) for c in GROUND_COLOURS[kind])
    level = level * 1.4 - 0.2
    # A channel at a time: a last axis of three is slow to loop over.
    ground = np.empty((height, width, 3), np.float32)
    for channel, (low, high) in enumerate(zip(dark, light, strict=True)):
        np.multiply(level, high - low, out=ground[..., channel])
        ground[..., channel] += low
    return ground


def _pattern(
    pattern: str | None, size: int, angle: float, phase: float, period: float
) -> np.ndarray:
    """Where the second colour goes, bool [size, size]."""
    if pattern is None:
        return np.zeros((size, size), dtype=bool)
    y, x = np.mgrid[0:size, 0:size].astype(np.float32)
    u = (x * np.cos(angle) + y * np.sin(angle)) / period + phase
    v = (y * np.cos(angle) - x * np.sin(angle)) / period + phase
    if pattern == "striped":
        return u % 1 < 0.5
    if pattern == "dotted":
        return (u % 1 - 0.5) ** 2 + (v % 1 - 0.5) ** 2 < 0.09
    return (u % 1 < 0.5) ^ (v % 1 < 0.5)


def _clutter(rng: np.random.Generator, image: Image.Image) -> None:
    """Scraps, strokes and patterned cloths that belong to no category."""
    width, height = image.size
    palette = list(COLOURS.values())
    draw = ImageDraw.Draw(image, "RGBA")
    for _ in range(int(rng.integers(2, 5))):
        size = int(rng.integers(30, 90))
        pattern = PATTERNS[rng.integers(len(PATTERNS))]
        first, second = rng.choice(len(palette), 2, replace=False)
        turn, phase, period = rng.uniform(0, 3), rng.random(), rng.uniform(12, 22)
        second_here = _pattern(pattern, size, turn, phase, period)
        cloth = np.where(
            second_here[..., None], palette[second], palette[first]
        ).astype(np.uint8)
        corners = rng.uniform(0, size, (5, 2))
        mask = Image.new("L", (size, size))
        ImageDraw.Draw(mask).polygon([tuple(c) for c in corners], fill=215)
        where = (int(rng.integers(-20, width)), int(rng.integers(-20, height)))
        image.paste(Image.fromarray(cloth), where, mask)
    for _ in range(int(width * height / 10000)):
        colour = (*palette[rng.integers(len(palette))], int(rng.integers(60, 200)))
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        dx, dy = rng.uniform(-40, 40, 2)
        if rng.random() < 0.5:
            draw.line(
                (x, y, x + dx, y + dy), fill=colour, width=int(rng.integers(1, 6))
            )
        else:
            r = rng.uniform(2, 9)
            draw.polygon(
                [(x + r * a, y + r * b) for a, b in rng.uniform(-1.5, 1.5, (4, 2))],
                fill=colour,
            )


def _eroded(mask: np.ndarray, radius: int) -> np.ndarray:
    """The least value in the square of a radius around each pixel, [H, W]."""
    # The least of a square is the least of its columns' least. Pillow's MinFilter is
    # the same function, ten times slower.
    height, width = mask.shape
    offsets = range(2 * radius + 1)
    padded = np.pad(mask, ((radius, radius), (0, 0)), mode="edge")
    mask = reduce(np.minimum, (padded[i : i + height] for i in offsets))
    padded = np.pad(mask, ((0, 0), (radius, radius)), mode="edge")
    return reduce(np.minimum, (padded[:, i : i + width] for i in offsets))


def _paste(rng: np.random.Generator, image: Image.Image, thing: Thing) -> None:
    look, size = thing.look, thing.size
    mask = shape_mask(look.shape, size, thing.angle)
    inside = _eroded(mask, round(1 + size / 50))
    period = rng.uniform(0.75, 1.25) * (9 + size / 9)
    turn = thing.angle + rng.choice([0.0, np.pi / 4, np.pi / 2, -np.pi / 4])
    second = _pattern(look.pattern, size, turn, thing.phase, period)
    colours = [
        np.array(COLOURS[c], dtype=np.float32) for c in (look.colour, look.second)
    ]
    colours = [c + rng.normal(0, 14, 3) for c in colours]
    pixels = np.where(second[..., None], colours[1], colours[0])
    ramp = np.linspace(1.12, 0.78, size)
    shade = ramp[:, None] if rng.random() < 0.5 else ramp[None, :]
    body = inside.astype(np.float32)[..., None] / 255
    pixels = body * np.clip(pixels * shade[..., None], 0, 255) + (1 - body) * OUTLINE
    patch = Image.fromarray(pixels.astype(np.uint8))
    image.paste(patch, (thing.left, thing.top), Image.fromarray(mask))


def draw_scene(scene: Scene) -> Image.Image:
    """The picture of a scene, an RGB image of its width and height."""
    rng = np.random.default_rng(scene.texture_seed)
    ground = _ground(rng, scene.ground, scene.width, scene.height)
    image = Image.fromarray(np.clip(ground, 0, 255).astype(np.uint8))
    _clutter(rng, image)
    for placed in scene.placed:
        _paste(rng, image, placed.thing)
    pixels = np.array(image, dtype=np.float32)
    gain, offset = rng.uniform(0.75, 1.2), rng.uniform(-25, 25)
    noise = rng.standard_normal((scene.height, scene.width, 1), dtype=np.float32)
    noise *= rng.uniform(2, 9)
    pixels *= gain
    pixels += offset
    pixels += noise
    return Image.fromarray(np.clip(pixels, 0, 255, out=pixels).astype(np.uint8))
