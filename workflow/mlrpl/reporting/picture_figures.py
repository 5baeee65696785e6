"""Figures of test images: attention maps, scores side by side, failures.

What is right and what is wrong has a mark and a look of its own besides its colour: a
tick and a full bar, a cross and a hatched one.
"""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

import seaborn
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from mlrpl.prediction.examples import Example, Examples
from mlrpl.prediction.overlays import overlay
from mlrpl.reporting.figure_drawing import GREY, style
from mlrpl.reporting.specs import percent
from mlrpl.reporting.text_fitting import plain, shrunk

RIGHT, WRONG, UNKNOWN = "✓", "✗", "?"
TEXT = 6.5  # points
DPI = 150  # the pictures have no more
# The examples stand side by side, so many in a line.
ACROSS = {"attention": 2, "scores": 2, "failures": 3}
# Inches: a data set's title, the side of a picture's place, the width of bars, what
# stands above and below a picture, and the gap between two examples.
HEAD, TILE, BARS, GAP = 0.3, 1.45, 1.65, 0.3
ABOVE = {"attention": 0.22, "scores": 0.22, "failures": 0.22}
BELOW = {"attention": 0.05, "scores": 0.36, "failures": 0.36}
BLUE, ORANGE = (seaborn.color_palette("colorblind")[i] for i in (0, 3))
LOOKS: dict[str, dict[str, Any]] = {
    RIGHT: {"facecolor": BLUE, "edgecolor": BLUE},
    WRONG: {"facecolor": "white", "edgecolor": ORANGE, "hatch": "/////"},
    UNKNOWN: {"facecolor": "0.85", "edgecolor": GREY},
}


def draw(spec: Mapping[str, Any], examples: Sequence[Examples]) -> Figure:
    """Return the figure of all data sets, one below the other.

    Args:
        spec: contents, as `specs.load_spec(..., "pictures")` returns them.
        examples: of each data set, all of one kind.
    """
    drawing = {"attention": _attention, "scores": _scores, "failures": _failures}
    order = {dataset["name"]: dataset["title"] for dataset in spec["datasets"]}
    parts = sorted(examples, key=lambda part: list(order).index(part.dataset))
    heights = [_lines(part) * _height(part) + HEAD for part in parts]
    with style(formulas=False):
        figure = Figure((_width(parts[0]), sum(heights)))
        places = figure.subfigures(len(parts), 1, height_ratios=heights, squeeze=False)
        for part, place, height in zip(parts, places[:, 0], heights, strict=True):
            titles = [run_title(spec, part, number) for number in range(len(part.runs))]
            text = order[part.dataset]
            if part.kind != "scores":
                text += f": {titles[0]}" if len(titles) == 1 else ""
            else:
                text += f": {_setting(part)}" if _setting(part) else ""
            where = {"x": 0.012, "y": 1 - 0.06 / height, "ha": "left", "va": "top"}
            room = 72 * (figure.get_figwidth() - 0.2)
            size = shrunk(plain(text), room, 9, "bold")
            place.suptitle(text, fontsize=size, fontweight="bold", **where)
            drawing[part.kind](place, part, titles, height)
    return figure


def run_title(spec: Mapping[str, Any], part: Examples, number: int) -> str:
    """Return what a run is called: its method, and what else tells it from others."""
    run = part.runs[number]
    titles = {m["name"]: m.get("title", m["name"]) for m in spec["methods"]}
    text = titles.get(run["method"], run["method"])
    if part.kind == "scores" and _setting(part):
        return text
    text += f", {percent(run['prop'])} known labels"
    several = len({other["seed"] for other in part.runs}) > 1
    return f"{text}, seed {run['seed']}" if several else text


def _setting(part: Examples) -> str:
    """Return what all runs have in common; nothing where they differ."""
    props = {run["prop"] for run in part.runs}
    seeds = {run["seed"] for run in part.runs}
    if len(props) > 1 or len(seeds) > 1:
        return ""
    return f"{percent(props.pop())} known labels"


def truth(example: Example, name: str) -> str:
    """Return whether an image shows a class, as a mark."""
    if name in example.present:
        return RIGHT
    return UNKNOWN if name in example.unknown else WRONG


def _lines(part: Examples) -> int:
    if part.kind == "scores":
        return -(-len(_by_image(part)) // ACROSS["scores"])
    return sum(-(-len(rows) // ACROSS[part.kind]) for rows in _blocks(part))


def _height(part: Examples) -> float:
    return TILE + ABOVE[part.kind] + BELOW[part.kind]


def _width(part: Examples) -> float:
    across = ACROSS[part.kind]
    return across * sum(_ratios(part)) + (across - 1) * GAP + 0.2


def _ratios(part: Examples) -> list[float]:
    """Return the widths of the places of one example, in inches."""
    if part.kind == "scores":
        return [1.05 * TILE, *[BARS] * len(part.runs)]
    return [TILE + 0.06] * {"attention": 4, "failures": 2}[part.kind]


def _blocks(part: Examples) -> list[list[Example]]:
    """Return what stands in lines of its own: of failures each half of each run's."""
    if part.kind == "attention":
        rows = sorted(part.rows, key=lambda row: row.run)
        return [list(some) for _, some in groupby(rows, lambda row: row.run)]
    keys = [(row.run, row.shown[0] in row.present) for row in part.rows]
    both = sorted(zip(keys, part.rows, strict=True), key=lambda pair: pair[0])
    return [[row for _, row in some] for _, some in groupby(both, lambda pair: pair[0])]


def _by_image(part: Examples) -> list[list[Example]]:
    return [list(rows) for _, rows in groupby(part.rows, lambda row: row.name)]


def _grid(place: SubFigure, part: Examples, height: float) -> list[list[Axes]]:
    """Return the axes of each example, line by line."""
    across, ratios = ACROSS[part.kind], _ratios(part)
    above, below = ABOVE[part.kind], BELOW[part.kind]
    lines, margin = _lines(part), 0.1 / _width(part)
    grid = place.add_gridspec(
        lines,
        across,
        left=margin,
        right=1 - margin,
        top=1 - (HEAD + above) / height,
        bottom=below / height,
        wspace=GAP / sum(ratios),
        hspace=(above + below) / TILE,
    )
    found = []
    for line in range(lines):
        for number in range(across):
            inner = grid[line, number].subgridspec(
                1, len(ratios), width_ratios=ratios, wspace=0.06
            )
            found.append([place.add_subplot(cell) for cell in inner])
    return found


def _places(part: Examples, axes: list[list[Axes]]) -> Iterator[tuple[Any, list[Axes]]]:
    """Yield each example with its axes; hide those that are left over."""
    rest = iter(axes)
    for block in _blocks(part):
        for number in range(-(-len(block) // ACROSS[part.kind]) * ACROSS[part.kind]):
            own = next(rest)
            if number < len(block):
                yield block[number], own
            else:
                for place in own:
                    place.set_axis_off()


def _show(axes: Axes, pixels: Any, above: str) -> None:
    axes.imshow(pixels, interpolation="lanczos", aspect="equal")
    axes.set_anchor("N")
    axes.set_axis_off()
    axes.set_title(above, fontsize=TEXT, fontweight="normal", pad=2.5)


def _attention(
    place: SubFigure, part: Examples, titles: Sequence[str], height: float
) -> None:
    """Draw each image beside the maps of its best classes."""
    axes = _grid(place, part, height)
    for example, own in _places(part, axes):
        picture = example.pixels()
        _show(own[0], picture, titles[example.run] if len(titles) > 1 else "")
        found = zip(
            own[1:], example.shown, example.probabilities, example.maps, strict=False
        )
        for tile in own[1:]:
            tile.set_axis_off()
        for tile, name, p, attended in found:
            text = f"{name} {p:.2f} {truth(example, name)}"
            _show(tile, overlay(picture, attended), text)


def _failures(
    place: SubFigure, part: Examples, titles: Sequence[str], height: float
) -> None:
    """Draw each image beside the map of the class that the run is wrong about."""
    axes = _grid(place, part, height)
    for example, own in _places(part, axes):
        picture = example.pixels()
        [name], [p], [attended] = example.shown, example.probabilities, example.maps
        missed = name in example.present
        said = f"{name} {p:.2f} {WRONG}" + (" missed" if missed else " not labelled")
        _show(own[0], picture, titles[example.run] if len(titles) > 1 else "")
        _show(own[1], overlay(picture, attended), said)
        text = textwrap.shorten(", ".join(example.present), 90, placeholder=" …")
        own[0].text(
            *(0.0, -0.03, textwrap.fill(f"labels: {text}", 52)),
            transform=own[0].transAxes,
            ha="left",
            va="top",
            fontsize=TEXT,
        )


def _scores(
    place: SubFigure, part: Examples, titles: Sequence[str], height: float
) -> None:
    """Draw each image beside the best classes of each run, as bars."""
    images = _by_image(part)
    axes = _grid(place, part, height)
    for number, own in enumerate(axes):
        if number >= len(images):
            for tile in own:
                tile.set_axis_off()
            continue
        rows = images[number]
        _show(own[0], rows[0].pixels(), "")
        text = textwrap.shorten(", ".join(rows[0].present), 66, placeholder=" …")
        own[0].text(
            *(0.0, -0.03, textwrap.fill(text, 30)),
            transform=own[0].transAxes,
            ha="left",
            va="top",
            fontsize=TEXT,
        )
        for tile, example in zip(own[1:], rows, strict=True):
            _bars(tile, example, titles[example.run])


def _bars(axes: Axes, example: Example, title: str) -> None:
    for place, (name, p) in enumerate(
        zip(example.shown, example.probabilities, strict=True)
    ):
        mark = truth(example, name)
        axes.barh(place, p, height=0.42, linewidth=0.8, **LOOKS[mark])
        axes.text(
            *(0.0, place - 0.28, f"{mark} {name}"),
            fontsize=TEXT,
            va="bottom",
            ha="left",
        )
        axes.text(1.0, place - 0.28, f"{p:.2f}", fontsize=TEXT, va="bottom", ha="right")
    axes.set_xlim(0, 1)
    axes.set_ylim(len(example.shown) - 0.6, -1.0)
    axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"], fontsize=TEXT - 1)
    axes.tick_params(length=2, pad=1)
    axes.set_yticks([])
    axes.grid(axis="y", visible=False)
    axes.set_title(title, fontsize=TEXT + 0.5, loc="left", pad=3)
    seaborn.despine(ax=axes, left=True)
    position = axes.get_position()
    axes.set_position(
        [position.x0 + 0.012, position.y0, position.width - 0.016, position.height]
    )
