"""`mlrpl pictures`: a figure of test images as PDF and PNG."""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--spec",
        required=True,
        help="contents as JSON or a file of it: workflow/schemas/pictures.schema.yaml",
    )
    parser.add_argument(
        "--examples",
        nargs="+",
        required=True,
        metavar="HDF5",
        help="what `mlrpl examples` made, a file for each data set",
    )
    parser.add_argument(
        "--output", required=True, metavar="PREFIX", help="writes PREFIX.pdf .png"
    )


def run(args: argparse.Namespace) -> None:
    from mlrpl.prediction.examples import Examples
    from mlrpl.reporting import figure_drawing, picture_figures
    from mlrpl.reporting.specs import load_spec

    spec = load_spec(args.spec, "pictures")
    examples = [Examples.load(path) for path in args.examples]
    figure = picture_figures.draw(spec, examples)
    dpi = picture_figures.DPI
    figure_drawing.write(figure, args.output, spec["title"], dpi)
