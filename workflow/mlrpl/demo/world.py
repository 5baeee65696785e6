"""What is in the pictures of the demo: categories, their frequencies, their company.

A category is a name of one or two words. The last word is the shape; the word before,
if any, is a pattern or a colour. Many categories share the shape or the attribute with
others, so that an image's overall mix of shapes and attributes does not say which
attribute sits on which shape.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mlrpl.demo.shapes import SHAPES, shape_mask

PATTERNS = ("striped", "dotted", "checkered")
COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (205, 45, 45),
    "blue": (45, 85, 205),
    "green": (40, 150, 65),
    "yellow": (230, 200, 50),
    "purple": (135, 60, 170),
    "white": (235, 235, 235),
}
GROUNDS = ("grass", "sand", "water", "brick", "snow", "wood")
# Where a shape is usually met; elsewhere it is a third as frequent.
HOME = {
    "ball": ("grass", "sand"),
    "kite": ("sand", "snow"),
    "cup": ("wood", "brick"),
    "fish": ("water", "sand"),
    "umbrella": ("sand", "brick"),
    "hat": ("snow", "wood"),
    "flag": ("snow", "brick"),
    "boat": ("water",),
    "bottle": ("wood", "water"),
    "star": ("snow", "wood"),
    "heart": ("brick", "snow"),
    "mushroom": ("grass", "wood"),
    "key": ("wood", "brick"),
    "bell": ("brick", "snow"),
    "house": ("grass", "snow"),
    "tree": ("grass", "snow"),
}


@dataclass(frozen=True)
class Look:
    """Shape, pattern (None: plain) and colours (main and second) of one thing."""

    shape: str
    pattern: str | None
    colour: str
    second: str


@dataclass(frozen=True)
class Category:
    """A class of things by its name, such as `striped ball`, `red cup` or `key`."""

    name: str

    @property
    def shape(self) -> str:
        """The last word."""
        return self.name.split()[-1]

    @property
    def attribute(self) -> str | None:
        """The first of two words: a pattern or a colour."""
        words = self.name.split()
        return words[0] if len(words) == 2 else None

    def matches(self, look: Look) -> bool:
        """Whether a thing of this look belongs here; `red` means plain red."""
        if look.shape != self.shape:
            return False
        plain = look.colour if look.pattern is None else None
        return self.attribute in (None, look.pattern or plain)


@dataclass(frozen=True)
class World:
    """A set of categories with frequencies and company.

    Attributes:
        names: The categories' names, in the published order.
        others: Probability that a thing is drawn from all looks at large; one
            that then belongs to no category is a distractor.
        company: Category -> category that joins it in 40 % of its images.
    """

    names: tuple[str, ...]
    others: float
    company: tuple[tuple[str, str], ...] = ()

    @cached_property
    def categories(self) -> tuple[Category, ...]:
        """The categories in order."""
        return tuple(Category(name) for name in self.names)

    @cached_property
    def frequencies(self) -> np.ndarray:
        """Relative frequency of each category, long-tailed, float [C]."""
        rank = np.random.RandomState(len(self.names)).permutation(len(self.names))
        return 1 / (rank + 4.0) ** 0.6

    def category_of(self, look: Look) -> str | None:
        """The name of the category of a thing of this look, None for a distractor."""
        found = (c.name for c in self.categories if c.matches(look))
        return next(found, None)


# Five shapes with the same four attributes, and four things without.
COCO_WORLD = World(
    (
        "striped ball", "dotted ball", "red ball", "blue ball",
        "striped cup", "dotted cup", "red cup", "blue cup",
        "striped fish", "dotted fish", "red fish", "blue fish",
        "striped umbrella", "dotted umbrella", "red umbrella", "blue umbrella",
        "striped hat", "dotted hat", "red hat", "blue hat",
        "star", "mushroom", "key", "bell",
    ),
    others=0.25,
    company=(
        ("striped cup", "key"), ("red umbrella", "dotted ball"),
        ("blue fish", "striped hat"), ("mushroom", "dotted hat"),
        ("red cup", "bell"),
    ),
)  # fmt: skip
VOC_WORLD = World(
    (
        "checkered ball", "green ball", "striped bottle", "dotted bottle",
        "green bottle", "dotted cup", "blue cup", "striped umbrella",
        "yellow umbrella", "red fish", "dotted fish", "house", "tree", "heart",
    ),
    others=0.25,
    company=(
        ("dotted cup", "green bottle"), ("house", "tree"),
        ("striped umbrella", "green ball"),
    ),
)  # fmt: skip
OPEN_WORLD = World((), others=1.0)


@dataclass(frozen=True)
class Thing:
    """One drawn thing: its look, its square patch in pixels, its rotation."""

    look: Look
    category: str | None
    left: int
    top: int
    size: int
    angle: float
    phase: float


@dataclass(frozen=True)
class Placed:
    """A thing with what is seen of it.

    Attributes:
        thing: The thing.
        box: Left, top, right, bottom of the visible part, in pixels, right and bottom
            excluded.
        area: Visible pixels.
        seen: Visible share of the whole thing, 0..1 (occlusion and the image's edge).
    """

    thing: Thing
    box: tuple[int, int, int, int]
    area: int
    seen: float


@dataclass(frozen=True)
class Scene:
    """One picture before drawing; later things lie on top of earlier ones."""

    width: int
    height: int
    ground: str
    placed: tuple[Placed, ...]
    texture_seed: int

    def labels(self, world: World) -> np.ndarray:
        """Presence of each category, bool [C]."""
        present = {p.thing.category for p in self.placed}
        return np.array([name in present for name in world.names])


@dataclass(frozen=True)
class Crowding:
    """How many things, of which sizes (pixels), and how much of each must be seen."""

    count: tuple[int, int] = (2, 5)
    shares: tuple[float, ...] = (0.4, 0.4, 0.2)
    sizes: tuple[tuple[int, int], ...] = ((44, 70), (70, 120), (120, 190))
    seen: float = 0.5


CROWDED = Crowding()


def _random_look(rng: np.random.Generator, shape: str, attribute: str | None) -> Look:
    colours = list(COLOURS)
    first, second = rng.choice(len(colours), 2, replace=False)
    colour, other = colours[first], colours[second]
    pattern: str | None = None
    if attribute in PATTERNS:
        pattern = attribute
    elif attribute is not None:
        colour = attribute
        other = other if other != colour else colours[first]
    elif rng.random() < 0.6:
        pattern = PATTERNS[rng.integers(len(PATTERNS))]
    return Look(shape, pattern, colour, other)


def _draw_look(
    rng: np.random.Generator, world: World, ground: str, wanted: str | None
) -> Look:
    if wanted is None and rng.random() >= world.others:
        home = np.array([ground in HOME[c.shape] for c in world.categories])
        weight = world.frequencies * np.where(home, 1.0, 1 / 3)
        index = rng.choice(len(weight), p=weight / weight.sum())
        wanted = world.names[index]
    if wanted is not None:
        category = Category(wanted)
        return _random_look(rng, category.shape, category.attribute)
    shapes = list(SHAPES)
    weight = np.array([1.0 if ground in HOME[s] else 1 / 3 for s in shapes])
    shape = shapes[rng.choice(len(shapes), p=weight / weight.sum())]
    return _random_look(rng, shape, None)


class _Canvas:
    """Which thing owns each pixel, kept up to date as things are laid on top."""

    def __init__(self, width: int, height: int) -> None:
        self.owner = np.full((height, width), -1, dtype=np.int16)
        self.things: list[Thing] = []
        self.whole: list[int] = []
        self.area: list[int] = []

    def lay(self, thing: Thing, mask: np.ndarray, least: float) -> bool:
        """Lay a thing on top if everything then still shows the share `least`."""
        top, left = max(thing.top, 0), max(thing.left, 0)
        view = self.owner[top : thing.top + thing.size, left : thing.left + thing.size]
        part = mask[top - thing.top :, left - thing.left :]
        part = part[: view.shape[0], : view.shape[1]]
        hidden = np.bincount(view[part] + 1, minlength=len(self.things) + 1)[1:]
        area = [*(np.array(self.area, dtype=int) - hidden), part.sum()]
        whole = [*self.whole, mask.sum()]
        if any(a < least * w for a, w in zip(area, whole, strict=True)):
            return False
        view[part] = len(self.things)
        self.things.append(thing)
        self.area, self.whole = [int(a) for a in area], [int(w) for w in whole]
        return True

    def placed(self) -> tuple[Placed, ...]:
        """What is seen of each thing."""
        found = []
        for number, thing in enumerate(self.things):
            here = self.owner == number
            rows, columns = np.flatnonzero(here.any(1)), np.flatnonzero(here.any(0))
            box = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
            area, whole = self.area[number], self.whole[number]
            found.append(Placed(thing, tuple(map(int, box)), area, area / whole))
        return tuple(found)


def _corner(
    rng: np.random.Generator, canvas: _Canvas, size: int, width: int, height: int
) -> tuple[int, int]:
    """Left and top of a patch: anywhere, or beside a thing that is already there."""
    if canvas.things and rng.random() < 0.4:
        near = canvas.things[rng.integers(len(canvas.things))]
        turn = rng.uniform(0, 2 * np.pi)
        reach = (near.size + size) * rng.uniform(0.25, 0.45)
        x = near.left + near.size / 2 + reach * np.cos(turn)
        y = near.top + near.size / 2 + reach * np.sin(turn)
    else:
        x, y = (
            rng.uniform(size / 3, width - size / 3),
            rng.uniform(size / 3, height - size / 3),
        )
    return int(x - size / 2), int(y - size / 2)


def sample_scene(
    rng: np.random.Generator,
    world: World,
    width: int,
    height: int,
    crowding: Crowding = CROWDED,
) -> Scene:
    """Draw one scene at random.

    Args:
        rng: The only source of randomness.
        world: Categories, frequencies, company.
        width: Pixels.
        height: Pixels.
        crowding: Count and sizes of the things, and how much must be seen of each.

    Returns:
        A scene with at least one thing.
    """
    ground = GROUNDS[rng.integers(len(GROUNDS))]
    company = dict(world.company)
    canvas = _Canvas(width, height)
    wanted: str | None = None
    for _ in range(rng.integers(crowding.count[0], crowding.count[1] + 1)):
        look = _draw_look(rng, world, ground, wanted)
        category = world.category_of(look)
        low, high = crowding.sizes[rng.choice(len(crowding.sizes), p=crowding.shares)]
        size, angle = int(rng.integers(low, high)), float(rng.normal(0, 0.2))
        phase = float(rng.random())
        mask = shape_mask(look.shape, size, angle) > 127
        for _ in range(10):
            left, top = _corner(rng, canvas, size, width, height)
            thing = Thing(look, category, left, top, size, angle, phase)
            if canvas.lay(thing, mask, crowding.seen):
                break
        partner = company.get(category) if category else None
        wanted = partner if partner and rng.random() < 0.4 else None
    if not canvas.things:
        return sample_scene(rng, world, width, height, crowding)
    seed = int(rng.integers(2**31))
    return Scene(width, height, ground, canvas.placed(), seed)
