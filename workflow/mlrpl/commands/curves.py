"""`mlrpl curves`: the training curves of some runs as PDF and PNG."""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "histories", nargs="+", help="history.csv files, each with its run.json beside"
    )
    for name, of in (("titles", "methods"), ("datasets", "data sets")):
        parser.add_argument(
            f"--{name}", default="{}", help=f"what {of} are called: a JSON object"
        )
    parser.add_argument(
        "--output", required=True, metavar="PREFIX", help="writes PREFIX.pdf .png"
    )


def run(args: argparse.Namespace) -> None:
    from mlrpl.reporting import figure_drawing, training_curves
    from mlrpl.reporting.run_files import read_history
    from mlrpl.reporting.specs import load_titles

    titles = load_titles(args.titles, "--titles")
    datasets = load_titles(args.datasets, "--datasets")
    histories = [read_history(path) for path in args.histories]
    figure = training_curves.draw(histories, titles, datasets)
    figure_drawing.write(figure, args.output, "Training curves")
