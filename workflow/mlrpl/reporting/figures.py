"""Figures of this project's results beside published ones: what each panel shows.

A panel shows lines over the proportions of known labels, one a method (Figures 4 and
7), or lines over the values of an option, one a proportion (Figure 8). A point is the
mean over seeds with its sample standard deviation; a point that was not run leaves a
gap. `figure_drawing` puts the panels on paper.
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from mlrpl.config.method_strings import format_value
from mlrpl.errors import UserError
from mlrpl.evaluation.metrics import METRICS
from mlrpl.reporting.figure_bands import Bands, Points
from mlrpl.reporting.figure_model import Panel, Printed, Series
from mlrpl.reporting.known_share import panel_note
from mlrpl.reporting.published import AVERAGE, lookup
from mlrpl.reporting.specs import percent, prop_key
from mlrpl.reporting.text_fitting import plain
from mlrpl.statistics.resample_files import Resamples

# The ends of intervals around some points, as `Series` takes them.
Around = Callable[[Points], dict[str, np.ndarray | None]]

SYMBOLS = {"gamma_pos": r"$\gamma_+$", "gamma_neg": r"$\gamma_-$"}


def build(
    spec: dict[str, Any],
    runs: pd.DataFrame,
    published: pd.DataFrame,
    resamples: Iterable[Resamples] = (),
) -> list[list[Panel]]:
    """Return the panels of a figure, one list a data set.

    Args:
        spec: contents, as `specs.load_spec(..., "figure")` returns them.
        runs: one row for each setting and epoch, as `results.load_metrics` returns
            them.
        published: printed numbers, as `published.load_published` returns them.
        resamples: of the runs, where the spec asks for intervals.

    Raises:
        UserError: an unknown metric, no methods, a method without a place on the
            horizontal axis, or resamples that do not belong together.
    """
    if spec["metric"] not in METRICS:
        raise UserError(
            f"--spec: metric: {spec['metric']} is unknown; "
            f"choose from {', '.join(METRICS)}"
        )
    if "seeds" in spec:
        runs = runs[runs["seed"].isin(spec["seeds"])]
    runs = runs[runs["epoch"] == spec["epoch"]]
    runs = runs.assign(key=runs["prop"].map(prop_key))
    panels = spec.get("panels") or [
        {key: spec[key] for key in ("x", "x_label", "methods") if key in spec}
    ]
    rows = []
    bands = Bands(spec, resamples)
    for dataset in spec["datasets"]:
        mine = runs[runs["dataset"] == dataset["name"]]
        around = partial(bands.around, dataset["name"])
        rows.append([_panel(spec, p, dataset, mine, published, around) for p in panels])
    return rows


def _panel(
    spec: dict[str, Any],
    panel: dict[str, Any],
    dataset: dict[str, Any],
    runs: pd.DataFrame,
    published: pd.DataFrame,
    around: Around,
) -> Panel:
    if not panel.get("methods"):
        raise UserError("--spec: methods: there are none; list the methods to draw")
    over = panel["x"] == "prop"
    hue = spec.get("hue", "method" if over else "prop")
    if hue != ("method" if over else "prop"):
        raise UserError(
            f"--spec: hue: {hue} does not go with x: {panel['x']}; leave hue out"
        )
    if not dataset["compare"]:
        printed = published.iloc[:0]
    else:
        printed = published[
            (published["dataset"] == dataset.get("published"))
            & (published["metric"] == spec["metric"])
            & (published["prop"] != AVERAGE)
        ]
    build_series = _over_proportions if over else _over_option
    ticks, series = build_series(spec, panel, runs, printed, around)
    known = panel_note(dataset, runs)
    return Panel(
        title=", ".join(filter(None, (plain(dataset["title"]), _title(panel)))),
        note="\n".join(filter(None, (_gain(spec, dataset, runs, published), known))),
        x_label=panel.get("x_label") or _x_label(panel["x"]),
        y_label=f"{spec['metric']} (%)",
        ticks=ticks,
        series=series,
        over_proportions=over,
        names=not over and not _numeric(panel),
        default=_default(panel, ticks),
        seeds=_seeds(spec, panel, runs),
    )


def _over_proportions(
    spec: dict[str, Any],
    panel: dict[str, Any],
    runs: pd.DataFrame,
    printed: pd.DataFrame,
    around: Around,
) -> tuple[list[tuple[float, str]], list[Series]]:
    """One line a method; the position is the percentage of known labels."""
    props = sorted(spec["proportions"])
    cells = _cells(runs, spec["metric"])
    series = []
    for method in panel["methods"]:
        points = [(method["name"], prop_key(p)) for p in props]
        values = [cells.get(point, _NONE) for point in points]
        lines = [
            Printed(
                plain(
                    f"{spec['published_titles'].get(name, name)} as printed ({table})"
                ),
                [
                    (round(100 * float(prop), 6), mean)
                    for prop, mean in zip(group["prop"], group["mean"], strict=True)
                ],
            )
            for name in method.get("published", [])
            for table, group in printed[printed["method"] == name].groupby("table")
        ]
        series.append(
            Series(
                plain(method.get("title", method["name"])),
                np.array([round(100 * p, 6) for p in props]),
                *_columns(values),
                lines,
                **around(points),
            )
        )
    shown = [(round(100 * p, 6), percent(p).removesuffix(" %")) for p in props]
    return shown, series


def _over_option(
    spec: dict[str, Any],
    panel: dict[str, Any],
    runs: pd.DataFrame,
    printed: pd.DataFrame,
    around: Around,
) -> tuple[list[tuple[float, str]], list[Series]]:
    """One line a proportion; the position is the value of the option."""
    places = [_place(method, panel["x"]) for method in panel["methods"]]
    if _numeric(panel):
        order = np.argsort(places, kind="stable")
        positions = [float(place) for place in places]
    else:
        order = np.arange(len(places))
        positions = [float(i) for i in order]
    methods = [panel["methods"][i] for i in order]
    x = [positions[i] for i in order]
    ticks = [(positions[i], _number_text(places[i])) for i in order]
    cells = _cells(runs, spec["metric"])
    series = []
    for prop in sorted(spec["proportions"]):
        key = prop_key(prop)
        points = [(method["name"], key) for method in methods]
        values = [cells.get(point, _NONE) for point in points]
        marks: dict[str, list[tuple[float, float]]] = {}
        for position, method in zip(x, methods, strict=True):
            found = printed[
                printed["method"].isin(method.get("published", []))
                & (printed["prop"] == key)
            ]
            for table, mean in zip(found["table"], found["mean"], strict=True):
                marks.setdefault(table, []).append((position, mean))
        series.append(
            Series(
                f"{percent(prop)} known labels",
                np.array(x),
                *_columns(values),
                [Printed(f"as printed ({t})", p) for t, p in sorted(marks.items())],
                **around(points),
            )
        )
    return ticks, series


def _seeds(spec: dict[str, Any], panel: dict[str, Any], runs: pd.DataFrame) -> int:
    """Return of how many seeds a point is, at most; 0 where nothing ran."""
    names = [method["name"] for method in panel["methods"]]
    keys = [prop_key(prop) for prop in spec["proportions"]]
    shown = runs[runs["method"].isin(names) & runs["key"].isin(keys)]
    return max(shown.groupby(["method", "key"])["seed"].nunique(), default=0)


def _default(panel: dict[str, Any], ticks: list[tuple[float, str]]) -> float | None:
    """Return the position of the option's default, if a method stands there."""
    if "default" not in panel:
        return None
    wanted = _number_text(panel["default"])
    return next((position for position, text in ticks if text == wanted), None)


_NONE = (np.nan, np.nan)


def _columns(values: list[tuple[float, float]]) -> tuple[np.ndarray, np.ndarray]:
    means, deviations = zip(*values, strict=True)
    return np.array(means), np.array(deviations)


def _cells(
    runs: pd.DataFrame, metric: str
) -> dict[tuple[str, str], tuple[float, float]]:
    """Return mean and standard deviation over seeds by method and proportion."""
    groups = runs.groupby(["method", "key"])[metric]
    return {
        key: (float(values.mean()), float(values.std(ddof=1))) for key, values in groups
    }


def _numeric(panel: dict[str, Any]) -> bool:
    places = [_place(method, panel["x"]) for method in panel["methods"]]
    return all(isinstance(place, int | float) for place in places)


def _place(method: dict[str, Any], option: str) -> float | str:
    """Return where a method stands on the axis of an option."""
    if "x" in method:
        return method["x"]
    for override in method["name"].split("+")[1:]:
        name, _, value = override.partition("=")
        if name == option:
            try:
                return float(value)
            except ValueError:
                return value
    raise UserError(
        f"--spec: methods: {method['name']} does not set {option}; give its x"
    )


def _gain(
    spec: dict[str, Any],
    dataset: dict[str, Any],
    runs: pd.DataFrame,
    published: pd.DataFrame,
) -> str:
    """Say by how much one method is above another on average, here and in print."""
    gain = spec.get("gain")
    if gain is None:
        return ""
    cells = _cells(runs, spec["metric"])
    both = [
        (cells[gain["method"], key][0], cells[gain["baseline"], key][0])
        for key in map(prop_key, spec["proportions"])
        if (gain["method"], key) in cells and (gain["baseline"], key) in cells
    ]
    text = ""
    if both:
        text = f"average gain {np.mean([a - b for a, b in both]):+.1f}"
        if len(both) < len(spec["proportions"]):
            text += f" over {len(both)} of {len(spec['proportions'])} proportions"
    name = dataset.get("published", "")
    found = lookup(
        published, name, gain.get("published", ""), AVERAGE, f"{spec['metric']} gain"
    )
    if found is None:
        return text
    if dataset["compare"]:
        return f"{text or 'average gain not measured'} (paper: {found[0]:+.1f})"
    titles = published[published["dataset"] == name]["dataset_title"]
    paper = f"paper, on {titles.iloc[0]}: {found[0]:+.1f}"
    return f"{text}\n{paper}" if text else paper


def _title(panel: dict[str, Any]) -> str:
    """Return a panel's title: its own, or what its methods have in common."""
    made = (
        f"{SYMBOLS.get(name, name)} = {format_value(value)}"
        for name, value in panel.get("fixed", {}).items()
    )
    return panel.get("title") or ", ".join(made)


def _x_label(option: str) -> str:
    if option == "prop":
        return "known labels (%)"
    return SYMBOLS.get(option, option)


def _number_text(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:g}"
