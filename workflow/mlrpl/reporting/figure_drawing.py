"""Drawing: panels to matplotlib axes, and these to PDF and PNG.

Colours are seaborn's colour-blind palette, and every line has a marker of its own, so
that it can be told apart in grey. Files have no date in them: equal panels give equal
bytes.
"""

import itertools
from collections.abc import Iterator, Sequence
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

from mlrpl.reporting.figures import Panel, Printed
from mlrpl.runtime.storage import atomic_path

PANEL_SIZE = (3.4, 2.6)  # inches
MARKERS = "osD^vP"
PRINTED_MARKERS = "dsv"
PRINTED_LINES = ["--", ":", "-."]
GREY = "0.45"
RC = {
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
    "savefig.dpi": 200,
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
        figure = Figure(
            (PANEL_SIZE[0] * width, PANEL_SIZE[1] * height + 0.3),
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
                axes[i, j].set_title(panel.title, loc="left", pad=6 + 10 * room)
                if j == 0 or len(rows[0]) == 1:
                    axes[i, j].set_ylabel(panel.y_label)
        if handles:
            figure.legend(
                handles.values(),
                handles.keys(),
                loc="outside lower center",
                ncols=min(len(handles), 2 * width),
                frameon=False,
                handlelength=2.6,
            )
    return figure


def write(figure: Figure, prefix: str | Path, title: str) -> None:
    """Write PREFIX.pdf and PREFIX.png."""
    metadata = {
        "pdf": {"Title": title, "Creator": "mlrpl", "CreationDate": None},
        "png": {"Title": title, "Software": None},
    }
    with style():
        for kind in ("pdf", "png"):
            with atomic_path(f"{prefix}.{kind}") as temporary:
                figure.savefig(temporary, format=kind, metadata=metadata[kind])


@contextmanager
def style() -> Iterator[None]:
    """Set the look of all figures for the time of a block."""
    settings = seaborn.axes_style("ticks") | seaborn.plotting_context("paper") | RC
    with matplotlib.rc_context(settings):
        yield


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
        line = axes.errorbar(
            series.x,
            series.mean,
            yerr=None if np.isnan(series.std).all() else series.std,
            color=colour,
            marker=MARKERS[i % len(MARKERS)],
            markersize=4.5,
            linewidth=1.4,
            linestyle="none" if panel.names else "-",
            capsize=2,
            elinewidth=0.9,
            label=series.label,
            zorder=3,
        )
        handles[series.label] = line.lines[0]
        draw_printed = _printed_line if panel.over_proportions else _printed_marks
        for printed in series.printed:
            printed_handles[printed.label] = draw_printed(
                axes, printed, colour, numbers[printed.label]
            )
    if not any(np.isfinite(series.mean).any() for series in panel.series):
        axes.text(
            *(0.5, 0.5, "not run"),
            transform=axes.transAxes,
            ha="center",
            va="center",
            color=GREY,
        )
    axes.set_xticks(*zip(*panel.ticks, strict=True))
    axes.set_xlabel(panel.x_label)
    axes.margins(x=0.15 if panel.names else 0.05, y=0.1)
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


def _lines(text: str) -> int:
    return text.count("\n") + 1 if text else 0


def _printed_line(axes: Axes, printed: Printed, colour: tuple, number: int) -> Line2D:
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


def _printed_marks(axes: Axes, printed: Printed, colour: tuple, number: int) -> Line2D:
    """Draw a paper's single numbers as open marks in the colour of their line.

    Returns:
        The same mark in grey, for the legend: all lines share it.
    """
    look: dict[str, Any] = {
        "marker": PRINTED_MARKERS[number % len(PRINTED_MARKERS)],
        "markersize": 6.5,
        "markerfacecolor": "none",
        "markeredgewidth": 1.1,
        "linestyle": "none",
        "label": printed.label,
    }
    axes.plot(*zip(*printed.points, strict=True), color=colour, zorder=4, **look)
    return Line2D([], [], color=GREY, **look)
