"""Training curves: loss and test mAP over the epochs, one line a method."""

from collections.abc import Mapping, Sequence

import seaborn
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from mlrpl.reporting.figure_drawing import (
    LINES,
    PANEL_SIZE,
    draw_legend,
    panel_title,
    style,
)
from mlrpl.reporting.run_files import History
from mlrpl.reporting.specs import percent
from mlrpl.reporting.text_fitting import plain


def draw(
    histories: Sequence[History],
    titles: Mapping[str, str],
    datasets: Mapping[str, str],
) -> Figure:
    """Return a figure with a row for each data set: the loss, and the mAP.

    Args:
        histories: at least one; those of a data set are of one proportion and seed.
        titles: what methods are called; one that is not named here by its name.
        datasets: what data sets are called, likewise.
    """
    rows: dict[str, list[History]] = {}
    for history in histories:
        rows.setdefault(history.dataset, []).append(history)
    methods = list(dict.fromkeys(history.method for history in histories))
    with style():
        width, height = PANEL_SIZE
        figure = Figure(
            (2 * width, height * len(rows) + 0.3 + 0.18 * (len(methods) // 4)),
            layout=ConstrainedLayoutEngine(wspace=0.06, hspace=0.08),
        )
        axes = figure.subplots(len(rows), 2, squeeze=False)
        handles: dict[str, Line2D] = {}
        for (left, right), (name, mine) in zip(axes, rows.items(), strict=True):
            for history in mine:
                look = _look(methods.index(history.method))
                (line,) = left.plot(*zip(*history.loss, strict=True), **look)
                handles[plain(titles.get(history.method, history.method))] = line
                if history.mean_ap:
                    right.plot(*zip(*history.mean_ap, strict=True), marker=".", **look)
            setting = f"{percent(mine[0].prop)} known labels, seed {mine[0].seed}"
            title = f"{plain(datasets.get(name, name))}, {setting}"
            _label(left, panel_title(title, 2), "loss of the training")
            _label(right, "", "test mAP (%)")
            right.set_xlim(left.get_xlim())
        draw_legend(figure, handles, 4)
    return figure


def _look(number: int) -> dict:
    """Return colour and dashes of a method; no two of forty look alike."""
    palette = seaborn.color_palette("colorblind")
    return {
        "color": palette[number % len(palette)],
        "linestyle": LINES[number % len(LINES)],
        "linewidth": 1.3,
    }


def _label(axes: Axes, title: str, y_label: str) -> None:
    axes.set_title(title, loc="left")
    axes.set_xlabel("epoch")
    axes.set_ylabel(y_label)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    seaborn.despine(ax=axes)
