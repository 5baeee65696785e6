"""`mlrpl figure`: a figure as PDF and PNG."""

import argparse

from mlrpl.commands.shown_arguments import add_shown_arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_shown_arguments(parser, "figure")
    parser.add_argument(
        "--output", required=True, metavar="PREFIX", help="writes PREFIX.pdf .png"
    )


def run(args: argparse.Namespace) -> None:
    from mlrpl.reporting import class_figure, figure_drawing, figures, results
    from mlrpl.reporting.published import load_published
    from mlrpl.reporting.specs import load_spec
    from mlrpl.statistics.resample_files import Resamples

    spec = load_spec(args.spec, "figure")
    if spec["kind"] == "classes":
        panels = class_figure.build(spec, results.per_class(args.metrics))
        drawn = class_figure.draw(panels)
    else:
        runs = results.load_metrics(args.metrics, {"known": False})
        printed = load_published(args.published)
        resamples = map(Resamples.load, args.resamples)
        panels = figures.build(spec, runs, printed, resamples)
        drawn = figure_drawing.draw(panels)
    figure_drawing.write(drawn, args.output, spec["title"])
