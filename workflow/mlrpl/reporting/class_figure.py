"""The AP of each class, method beside method (Figure 5)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import seaborn
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mlrpl.reporting.figure_drawing import MARKERS, style
from mlrpl.reporting.specs import percent
from mlrpl.reporting.text_fitting import plain, shrunk

LONGEST = 40  # classes of one column
LINE, COLUMN = 0.165, 3.5  # inches of a class's line, and of a column's width
HEAD, FOOT = 0.62, 0.5  # inches above and below the lines
MARGIN = 0.05  # inches that stay free beside a title and a legend
# Points of the legend's letters, and whether methods stand side by side: the first of
# these with which it fits.
LEGENDS = ((8, True), (7, True), (6.5, False), (5.5, False), (4.5, False))


@dataclass(frozen=True)
class ClassPanel:
    """One data set at one proportion.

    Attributes:
        title: of the panel.
        classes: the names, in the order of the first method's AP, the best first.
        ap: [methods, classes], percent, the mean over seeds.
        labels: of the methods, each with its mean over the classes.
    """

    title: str
    classes: Sequence[str]
    ap: np.ndarray
    labels: Sequence[str]


def build(spec: Mapping[str, Any], per_class: pd.DataFrame) -> list[ClassPanel]:
    """Return the panels that a spec describes; none of what was not run.

    Args:
        spec: contents, as `specs.load_spec(..., "figure")` returns them. The classes
            are in the order of the first method.
        per_class: as `results.per_class` returns it.
    """
    rows = per_class[per_class["epoch"] == spec["epoch"]]
    if "seeds" in spec:
        rows = rows[rows["seed"].isin(spec["seeds"])]
    panels = []
    for dataset in spec["datasets"]:
        for prop in spec["proportions"]:
            here = rows[(rows["dataset"] == dataset["name"]) & (rows["prop"] == prop)]
            table = here.pivot_table(
                index="class", columns="method", values="ap", sort=False
            )
            methods = [m for m in spec["methods"] if m["name"] in table]
            if not methods:
                continue
            table = table[[m["name"] for m in methods]]
            table = table.sort_values(methods[0]["name"], ascending=False)
            means = table.mean()
            panels.append(
                ClassPanel(
                    title=f"{dataset['title']}, {percent(prop)} known labels",
                    classes=list(table.index),
                    ap=table.to_numpy().T,
                    labels=[
                        f"{m.get('title', m['name'])} (mAP {means[m['name']]:.1f})"
                        for m in methods
                    ],
                )
            )
    return panels


def draw(panels: Sequence[ClassPanel]) -> Figure:
    """Return the figure of the panels, one below the other."""
    heights = [_lines(panel) * LINE + HEAD + FOOT for panel in panels] or [1.0]
    columns = max([_columns(panel) for panel in panels], default=1)
    with style(formulas=False):
        figure = Figure((COLUMN * columns, sum(heights)))
        if not panels:
            figure.text(0.5, 0.5, "not run", ha="center", va="center", color="0.45")
            return figure
        places = figure.subfigures(
            len(panels), 1, height_ratios=heights, squeeze=False
        )[:, 0]
        for panel, place, height in zip(panels, places, heights, strict=True):
            axes = place.subplots(
                1,
                columns,
                squeeze=False,
                sharex=True,
                gridspec_kw={
                    "left": 1.25 / (COLUMN * columns),
                    "right": 1 - 0.15 / (COLUMN * columns),
                    "top": 1 - HEAD / height,
                    "bottom": FOOT / height,
                    "wspace": 1.4 / (COLUMN - 1.4 / columns),
                },
            )[0]
            for number, own in enumerate(axes):
                if number < _columns(panel):
                    _dots(own, panel, number)
                else:
                    own.set_axis_off()
            room = 72 * (COLUMN * columns - 0.1 - MARGIN)
            place.suptitle(
                panel.title,
                **{"x": 0.1 / (COLUMN * columns), "y": 1 - 0.08 / height},
                **{"ha": "left", "va": "top", "fontweight": "bold"},
                fontsize=shrunk(plain(panel.title), room, 9, "bold"),
            )
            marks = [found[::-1] for found in axes[0].get_legend_handles_labels()]
            for size, side_by_side in LEGENDS:
                legend = place.legend(
                    *marks,
                    loc="upper left",
                    bbox_to_anchor=(0.0, 1 - 0.2 / height),
                    ncols=len(panel.labels) if side_by_side else 1,
                    frameon=False,
                    fontsize=size,
                )
                if _width(figure, legend) <= 1 or size == LEGENDS[-1][0]:
                    break
                legend.remove()
    return figure


def _width(figure: Figure, artist: Artist) -> float:
    """Return how wide something is, as a share of the room right of its beginning."""
    box = artist.get_window_extent(FigureCanvasAgg(figure).get_renderer())
    room = (figure.get_figwidth() - MARGIN) * figure.dpi - box.x0
    return box.width / room


def _columns(panel: ClassPanel) -> int:
    return -(-len(panel.classes) // LONGEST)


def _lines(panel: ClassPanel) -> int:
    return -(-len(panel.classes) // _columns(panel))


def _dots(axes: Axes, panel: ClassPanel, number: int) -> None:
    """Draw one column: a line for each class from one method's AP to the other's."""
    lines = _lines(panel)
    part = slice(number * lines, (number + 1) * lines)
    names, ap = panel.classes[part], panel.ap[:, part]
    places = np.arange(len(names))
    palette = seaborn.color_palette("colorblind")
    # A class without a positive among the test images has no AP.
    there = ~np.isnan(ap).all(axis=0)
    least, most = np.nanmin(ap[:, there], axis=0), np.nanmax(ap[:, there], axis=0)
    axes.hlines(places[there], least, most, color="0.75", linewidth=1.2, zorder=1)
    for m in reversed(range(len(ap))):
        colour = palette[m % len(palette)]
        axes.plot(
            ap[m],
            places,
            linestyle="none",
            marker=MARKERS[m % len(MARKERS)],
            markersize=4.5,
            color=colour,
            markerfacecolor=colour if m == 0 else "white",
            markeredgewidth=1.0,
            label=panel.labels[m],
            zorder=3 - m / 10,
            clip_on=False,
        )
    axes.set_yticks(places, names, fontsize=7)
    axes.set_ylim(lines - 0.4, -0.6)
    axes.set_xlim(0, 100)
    axes.set_xlabel("AP (%)")
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", color="0.95")
    seaborn.despine(ax=axes, left=True)
