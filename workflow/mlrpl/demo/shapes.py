"""The shapes of the drawn world, as polygons in the square [-1, 1] x [-1, 1].

A shape is a tuple of (operation, points): `add` paints a part, `cut` takes one away.
The y axis points down, as in an image.
"""

import numpy as np
from PIL import Image, ImageDraw

Part = tuple[str, np.ndarray]


def _ellipse(x: float, y: float, a: float, b: float, n: int = 36) -> np.ndarray:
    t = np.linspace(0, 2 * np.pi, n, endpoint=False)
    return np.stack([x + a * np.cos(t), y + b * np.sin(t)], axis=1)


def _polygon(*points: tuple[float, float]) -> np.ndarray:
    return np.array(points, dtype=float)


def _box(left: float, top: float, right: float, bottom: float) -> np.ndarray:
    return _polygon((left, top), (right, top), (right, bottom), (left, bottom))


def _star(points: int, inner: float) -> np.ndarray:
    t = np.pi * np.arange(2 * points) / points - np.pi / 2
    radius = np.where(np.arange(2 * points) % 2, inner, 1.0)
    return np.stack([radius * np.cos(t), radius * np.sin(t)], axis=1)


def _heart() -> np.ndarray:
    t = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    x = 16 * np.sin(t) ** 3
    y = 13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)
    return np.stack([x, -y], axis=1) / 17


def _dome(x: float, y: float, a: float, b: float) -> np.ndarray:
    t = np.linspace(np.pi, 2 * np.pi, 24)
    return np.stack([x + a * np.cos(t), y + b * np.sin(t)], axis=1)


SHAPES: dict[str, tuple[Part, ...]] = {
    "ball": (("add", _ellipse(0, 0, 0.9, 0.9)),),
    "kite": (
        ("add", _polygon((0, -1), (0.7, -0.3), (0, 0.7), (-0.7, -0.3))),
        ("add", _polygon((0, 0.6), (0.3, 0.8), (0.3, 1.0), (-0.3, 0.75), (-0.3, 1.0))),
    ),
    "cup": (
        ("add", _ellipse(0.55, 0, 0.42, 0.42)),
        ("cut", _ellipse(0.55, 0, 0.22, 0.22)),
        ("add", _polygon((-0.85, -0.8), (0.55, -0.8), (0.4, 0.8), (-0.7, 0.8))),
    ),
    "fish": (
        ("add", _ellipse(-0.2, 0, 0.75, 0.5)),
        ("add", _polygon((0.35, 0), (1.0, -0.55), (0.8, 0), (1.0, 0.55))),
        ("cut", _ellipse(-0.6, -0.12, 0.08, 0.08)),
    ),
    "umbrella": (
        ("add", _dome(0, 0.05, 0.98, 0.98)),
        ("cut", _dome(-0.65, 0.1, 0.32, 0.22)),
        ("cut", _dome(0, 0.1, 0.32, 0.22)),
        ("cut", _dome(0.65, 0.1, 0.32, 0.22)),
        ("add", _box(-0.06, -0.1, 0.06, 0.9)),
        ("add", _polygon((0.06, 0.75), (0.06, 0.98), (-0.32, 0.98), (-0.32, 0.8))),
    ),
    "hat": (
        ("add", _ellipse(0, 0.5, 1.0, 0.25)),
        ("add", _polygon((-0.5, -0.7), (0.5, -0.7), (0.6, 0.5), (-0.6, 0.5))),
    ),
    "flag": (
        ("add", _box(-0.9, -0.95, -0.75, 1.0)),
        (
            "add",
            _polygon((-0.8, -0.9), (0.95, -0.7), (0.8, 0), (0.95, 0.35), (-0.8, 0.2)),
        ),
    ),
    "boat": (
        ("add", _polygon((-0.95, 0.3), (0.95, 0.3), (0.6, 0.85), (-0.6, 0.85))),
        ("add", _polygon((-0.05, -0.95), (-0.05, 0.2), (-0.75, 0.2))),
        ("add", _polygon((0.08, -0.7), (0.08, 0.2), (0.7, 0.2))),
    ),
    "bottle": (
        ("add", _box(-0.15, -1, 0.15, -0.4)),
        ("add", _polygon((-0.15, -0.5), (0.15, -0.5), (0.45, -0.1), (-0.45, -0.1))),
        ("add", _box(-0.45, -0.12, 0.45, 1)),
    ),
    "star": (("add", _star(5, 0.42)),),
    "heart": (("add", _heart()),),
    "mushroom": (
        ("add", _dome(0, 0.15, 0.95, 0.95)),
        ("add", _polygon((-0.25, 0.1), (0.25, 0.1), (0.35, 0.95), (-0.35, 0.95))),
    ),
    "key": (
        ("add", _ellipse(-0.55, 0, 0.42, 0.42)),
        ("cut", _ellipse(-0.55, 0, 0.2, 0.2)),
        ("add", _box(-0.2, -0.11, 1.0, 0.11)),
        ("add", _box(0.45, 0.1, 0.6, 0.42)),
        ("add", _box(0.8, 0.1, 0.95, 0.42)),
    ),
    "bell": (
        ("add", _dome(0, -0.1, 0.55, 0.8)),
        ("add", _polygon((-0.55, -0.12), (0.55, -0.12), (0.9, 0.6), (-0.9, 0.6))),
        ("add", _ellipse(0, 0.68, 0.2, 0.2)),
    ),
    "house": (
        ("add", _polygon((0, -0.95), (1.0, -0.1), (-1.0, -0.1))),
        ("add", _box(-0.75, -0.12, 0.75, 0.9)),
        ("cut", _box(-0.15, 0.35, 0.2, 0.9)),
    ),
    "tree": (
        ("add", _polygon((0, -1), (0.6, -0.2), (-0.6, -0.2))),
        ("add", _polygon((0, -0.6), (0.85, 0.5), (-0.85, 0.5))),
        ("add", _box(-0.15, 0.45, 0.15, 1.0)),
    ),
}


def shape_mask(shape: str, size: int, angle: float) -> np.ndarray:
    """Coverage of one shape, anti-aliased.

    Args:
        shape: A key of `SHAPES`.
        size: Side of the square patch in pixels; the shape's box [-1, 1] fills it.
        angle: Clockwise rotation in radians.

    Returns:
        uint8 array [size, size], 255 inside.
    """
    side = 2 * size
    image = Image.new("L", (side, side))
    draw = ImageDraw.Draw(image)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    # A rotated square of half the diagonal still fits the patch.
    shrink = 0.98 / (abs(np.cos(angle)) + abs(np.sin(angle)))
    for operation, points in SHAPES[shape]:
        pixels = (points @ turn * shrink + 1) * size
        draw.polygon([tuple(p) for p in pixels], fill=255 * (operation == "add"))
    return np.asarray(image.reduce(2))
