"""Text that fits into the width of a figure: lines, columns of a legend, font sizes."""

import functools
import re
from collections.abc import Sequence

import numpy as np
from matplotlib import rcParams
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.cbook import is_math_text
from matplotlib.font_manager import FontProperties

DPI = 200  # at which pictures are written; a PDF's letters are no wider
# What stays whole at a line's end: a formula between dollar signs, else what has no
# space.
WORD = re.compile(r"(?:\\\$|\$(?:\\\$|[^$])*\$|[^ $]|\$)+")
# Of a legend, in its font's size: a line, this and the room beside it, and the room
# between two columns (matplotlib's defaults but for the line).
HANDLE = 2.6
ENTRY, BETWEEN = HANDLE + 0.8, 2.0


def plain(text: str) -> str:
    """Return a text that matplotlib shows as it is: no formula between dollar signs."""
    return text.replace("$", r"\$")


def width(text: str, size: float, weight: str = "normal") -> float:
    """Return how wide one line is, in points.

    Args:
        text: as matplotlib takes it, with formulas between dollar signs.
        size: of the font, in points.
        weight: of the font.
    """
    font = FontProperties(family=rcParams["font.family"], weight=weight, size=size)
    formula = is_math_text(text)
    shown = text if formula else text.replace(r"\$", "$")
    taken = _renderer().get_text_width_height_descent(shown, font, formula)[0]
    return 72 * taken / DPI


def wrapped(text: str, points: float, size: float, weight: str = "normal") -> str:
    """Return a text in lines of at most so many points.

    It is cut at spaces, outside of formulas and not beside "="; a word that is longer
    than a line, at any letter.
    """
    lines = []
    for line in text.split("\n"):
        rest = ""
        for word in _words(line):
            if rest and width(f"{rest} {word}", size, weight) > points:
                lines.append(rest)
                rest = word
            else:
                rest = f"{rest} {word}" if rest else word
            while (
                len(rest) > 1
                and "$" not in rest
                and (width(rest, size, weight) > points)
            ):
                end = len(rest) - 1
                while end > 1 and width(rest[:end], size, weight) > points:
                    end -= 1
                lines.append(rest[:end])
                rest = rest[end:]
        lines.append(rest)
    return "\n".join(lines)


def shrunk(text: str, points: float, size: float, weight: str = "normal") -> float:
    """Return the size of the font in which one line takes at most so many points."""
    while (taken := width(text, size, weight)) > points:
        size *= 0.99 * points / taken  # letters are of whole pixels, and not in scale
    return size


def legend_columns(labels: Sequence[str], most: int, points: float, size: float) -> int:
    """Return how many columns of a legend fit beside each other, at least one.

    Args:
        labels: of its entries, which fill one column after the other.
        most: columns.
        points: room of the whole legend.
        size: of its font, in points.
    """
    widths = [max(width(line, size) for line in text.split("\n")) for text in labels]
    for columns in range(min(most, len(labels)), 1, -1):
        widest = [max(part) for part in np.array_split(widths, columns) if len(part)]
        taken = sum(widest) + size * (ENTRY * columns + BETWEEN * (columns - 1))
        if taken <= points:
            return columns
    return 1


@functools.cache
def _renderer() -> RendererAgg:
    return RendererAgg(1, 1, DPI)


def _words(line: str) -> list[str]:
    """Return the words of a line; what stands on both sides of "=" is one."""
    words: list[str] = []
    for word in WORD.findall(line):
        if words and (word == "=" or words[-1].endswith(" =")):
            words[-1] += f" {word}"
        else:
            words.append(word)
    return words
