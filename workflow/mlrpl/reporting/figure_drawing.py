"""Drawing: panels to matplotlib axes, and these to PDF and PNG.

Colours are seaborn's colour-blind palette, and every line has a marker and dashes of
its own, so that it can be told apart in grey. Marks at one place stand beside one
another. Files have no date in them: equal panels give equal bytes.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import seaborn
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import ScaledTranslation, Transform

from mlrpl.reporting.figure_model import Panel, Printed, Series
from mlrpl.reporting.text_fitting import DPI, ENTRY, HANDLE, legend_columns, wrapped
from mlrpl.runtime.storage import atomic_path
from mlrpl.statistics.intervals import LEVEL

PANEL_SIZE = (3.4, 2.6)  # inches
AXIS_ROOM = 0.6  # inches of a panel left of its axes, and what stays free
MARKERS = "osD^vP"
LINES: list[Any] = ["-", (0, (5, 1.5)), (0, (3, 1, 1, 1)), (0, (1, 1))]
BESIDE = 2.5  # points between the marks of two lines at one place
PRINTED_MARKERS = "x+1"  # no marker of a line, and they hide none
PRINTED_LINES: list[Any] = [":", "-.", (0, (6, 3))]
PRINTED_SIDES = (1, -1)  # of its line, on which a printed number stands
PRINTED_BESIDE = (7.5, 6)  # points to that of the first line, and one line more
GREY = "0.45"
TITLE_LINE, LEGEND_LINE = 0.15, 0.17  # inches of one more line of them
RC: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "axes.grid": True,
    "grid.color": "0.92",
    "grid.linewidth": 0.6,
    "axes.titleweight": "bold",
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "pdf.fonttype": 42,  # text stays text; publishers refuse Type 3 fonts
    "savefig.dpi": DPI,
}


def draw(rows: Sequence[Sequence[Panel]]) -> Figure:
    """Return the figure of the panels.

    Args:
        rows: the panels of each data set. One panel each: the panels stand side by
            side; several: a row for each data set, with one vertical scale.
    """
    grid = [[row[0] for row in rows]] if len(rows[0]) == 1 else [list(r) for r in rows]
    height, width = len(grid), len(grid[0])
    with style():
        titles = [[panel_title(panel.title) for panel in row] for row in grid]
        more = sum(max(map(_lines, row)) - 1 for row in titles)
        figure = Figure(
            (PANEL_SIZE[0] * width, PANEL_SIZE[1] * height + 0.3 + TITLE_LINE * more),
            layout=ConstrainedLayoutEngine(wspace=0.06, hspace=0.08),
        )
        axes = figure.subplots(
            height, width, squeeze=False, sharey="row" if len(rows[0]) > 1 else False
        )
        printed = dict.fromkeys(
            mark.label
            for panel in itertools.chain(*grid)
            for series in panel.series
            for mark in series.printed
        )
        numbers = {label: i for i, label in enumerate(printed)}
        handles: dict[str, Line2D] = {}
        for i, row in enumerate(grid):
            room = max(_lines(panel.note) for panel in row)
            for j, panel in enumerate(row):
                handles |= _draw_panel(axes[i, j], panel, numbers)
                axes[i, j].set_title(titles[i][j], loc="left", pad=6 + 10 * room)
                if j == 0 or len(rows[0]) == 1:
                    axes[i, j].set_ylabel(panel.y_label)
        if handles:
            draw_legend(figure, handles, 2 * width, _about_bars(grid))
    return figure


def panel_title(text: str, panels: int = 1) -> str:
    """Return a title in lines as wide as so many panels beside each other."""
    room = 72 * (PANEL_SIZE[0] * panels - AXIS_ROOM)
    return wrapped(text, room, RC["axes.titlesize"], RC["axes.titleweight"])


def draw_legend(
    figure: Figure, handles: Mapping[str, Line2D], most: int, about: str | None = None
) -> None:
    """Draw a legend below the panels, no wider than the figure.

    Args:
        figure: where to draw.
        handles: lines by their labels.
        most: columns.
        about: what stands above the entries.
    """
    size = RC["legend.fontsize"]
    room = 72 * (figure.get_figwidth() - 0.2)
    labels = [wrapped(label, room - size * ENTRY, size) for label in handles]
    columns = legend_columns(labels, most, room, size)
    lines = [sum(map(_lines, part)) for part in np.array_split(labels, columns)]
    more = max(lines) - -(-len(labels) // most)  # than with short labels
    figure.set_figheight(figure.get_figheight() + LEGEND_LINE * more)
    figure.legend(
        handles.values(),
        labels,
        loc="outside lower center",
        ncols=columns,
        frameon=False,
        handlelength=HANDLE,
        title=about,
        title_fontsize=7.5,
        alignment="left",
    )


def write(
    figure: Figure, prefix: str | Path, title: str, dpi: int | None = None
) -> None:
    """Write PREFIX.pdf and PREFIX.png.

    Args:
        figure: what to write.
        prefix: of the files' names.
        title: for their metadata.
        dpi: pixels an inch, of the pictures inside the PDF too; by default that of all
            figures.
    """
    metadata = {
        "pdf": {"Title": title, "Creator": "mlrpl", "CreationDate": None},
        "png": {"Title": title, "Software": None},
    }
    with style():
        for kind in ("pdf", "png"):
            with atomic_path(f"{prefix}.{kind}") as temporary:
                resolution = {} if dpi is None else {"dpi": dpi}
                figure.savefig(
                    temporary, format=kind, metadata=metadata[kind], **resolution
                )


@contextmanager
def style(formulas: bool = True) -> Iterator[None]:
    """Set the look of all figures for the time of a block.

    Args:
        formulas: whether text between dollar signs is one.
    """
    settings = seaborn.axes_style("ticks") | seaborn.plotting_context("paper") | RC
    settings["text.parse_math"] = formulas
    with matplotlib.rc_context(settings):
        yield


def _about_bars(grid: Sequence[Sequence[Panel]]) -> str | None:
    """Say what error bars and bands are, if there are any."""
    counts = {
        panel.seeds
        for panel in itertools.chain(*grid)
        if any(np.isfinite(series.std).any() for series in panel.series)
    }
    said = []
    if counts:
        seeds = " to ".join(map(str, sorted({min(counts), max(counts)})))
        said.append(f"Bars: ± one sample standard deviation over {seeds} seeds")
    if any(s.low is not None for p in itertools.chain(*grid) for s in p.series):
        said.append(f"Bands: intervals of {100 * LEVEL:g} % (test images and seeds)")
    return "\n".join(said) or None


def _draw_band(
    axes: Axes, series: Series, colour: tuple, beside: Transform | None
) -> None:
    """Draw the intervals: a band along a line, or a thick bar at each single point.

    Args:
        axes: where to draw.
        series: with intervals.
        colour: of the line.
        beside: where the points are drawn that are not joined; None for a line.
    """
    ends = (series.x, series.low, series.high)
    if beside is None:
        axes.fill_between(*ends, color=colour, alpha=0.18, linewidth=0, zorder=1)
    else:
        look: dict[str, Any] = {"alpha": 0.25, "linewidth": 6, "zorder": 1}
        axes.vlines(*ends, color=colour, transform=beside, **look)
        for y in ends[1:]:
            _make_room(axes, series.x, y)


def _draw_panel(axes: Axes, panel: Panel, numbers: dict[str, int]) -> dict[str, Line2D]:
    """Draw one panel; return legend entries by label.

    Args:
        axes: where to draw.
        panel: what to draw.
        numbers: number of each printed label, which fixes its line or mark.
    """
    handles: dict[str, Line2D] = {}
    printed_handles: dict[str, Line2D] = {}
    palette = seaborn.color_palette("colorblind")
    for i, series in enumerate(panel.series):
        colour = palette[i % len(palette)]
        beside = _beside(axes, BESIDE * (i - (len(panel.series) - 1) / 2))
        line = axes.errorbar(
            series.x,
            series.mean,
            yerr=None if np.isnan(series.std).all() else series.std,
            color=colour,
            marker=MARKERS[i % len(MARKERS)],
            markersize=4.5,
            linewidth=1.4,
            linestyle="none" if panel.names else LINES[i % len(LINES)],
            capsize=2,
            elinewidth=0.9,
            label=series.label,
            zorder=3,
            transform=beside,
        )
        if series.low is not None:
            _draw_band(axes, series, colour, beside if panel.names else None)
        for bar in line.lines[2]:
            bar.set_linestyle("-")
        for end in (-1, 1):
            _make_room(axes, series.x, series.mean + end * np.nan_to_num(series.std))
        handles[series.label] = line.lines[0]
        for printed in series.printed:
            number = numbers[printed.label]
            printed_handles[printed.label] = (
                _printed_line(axes, printed, number)
                if panel.over_proportions
                else _printed_marks(axes, printed, colour, number, i)
            )
    if not any(np.isfinite(series.mean).any() for series in panel.series):
        axes.text(
            *(0.5, 0.5, "not run"),
            transform=axes.transAxes,
            ha="center",
            va="center",
            color=GREY,
        )
    if panel.default is not None:
        axes.axvline(panel.default, color="0.88", linewidth=9, zorder=0)
    axes.set_xticks(*zip(*_marked(panel), strict=True))
    axes.set_xlabel(panel.x_label)
    sides = 0.05 if panel.over_proportions else 0.12
    axes.margins(x=0.15 if panel.names else sides, y=0.1)
    if np.isfinite(axes.dataLim.intervaly).all():
        axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    else:
        axes.set_yticks([])
        positions = [position for position, _ in panel.ticks]
        axes.set_xlim(min(positions) - 1, max(positions) + 1)
    if panel.note:
        axes.annotate(
            panel.note,
            xy=(0, 1),
            xycoords="axes fraction",
            xytext=(0, 4),
            textcoords="offset points",
            fontsize=7.5,
            color="0.3",
        )
    seaborn.despine(ax=axes)
    return handles | printed_handles


def _make_room(axes: Axes, x: Any, y: Any) -> None:
    """Let the axes reach over points, which matplotlib leaves out if moved aside."""
    points = np.column_stack([x, y])
    axes.update_datalim(points[np.isfinite(points).all(axis=1)])


def _beside(axes: Axes, points: float) -> Transform:
    """Return the axes' data coordinates, moved to the side by some points."""
    moved = ScaledTranslation(points / 72, 0, axes.figure.dpi_scale_trans)
    return axes.transData + moved


def _marked(panel: Panel) -> list[tuple[float, str]]:
    """Return the ticks; that of the default says so."""
    return [
        (position, f"{text}\ndefault" if position == panel.default else text)
        for position, text in panel.ticks
    ]


def _lines(text: str) -> int:
    return text.count("\n") + 1 if text else 0


def _printed_line(axes: Axes, printed: Printed, number: int) -> Line2D:
    """Draw a paper's numbers over the proportions as a thin grey line."""
    (line,) = axes.plot(
        *zip(*sorted(printed.points), strict=True),
        color=GREY,
        linestyle=PRINTED_LINES[number % len(PRINTED_LINES)],
        linewidth=1.0,
        label=printed.label,
        zorder=2,
    )
    return line


def _printed_marks(
    axes: Axes, printed: Printed, colour: tuple, number: int, line: int
) -> Line2D:
    """Draw a paper's single numbers as crosses, beside their line and in its colour.

    Returns:
        The same mark in grey, for the legend: all lines share it.
    """
    look: dict[str, Any] = {
        "marker": PRINTED_MARKERS[number % len(PRINTED_MARKERS)],
        "markersize": 6,
        "markeredgewidth": 1.4,
        "linestyle": "none",
        "label": printed.label,
    }
    first, more = PRINTED_BESIDE
    side = PRINTED_SIDES[number % len(PRINTED_SIDES)]
    beside = _beside(axes, side * (first + more * line))
    x, y = zip(*printed.points, strict=True)
    axes.plot(x, y, color=colour, zorder=4, transform=beside, **look)
    _make_room(axes, x, y)
    return Line2D([], [], color=GREY, **look)
