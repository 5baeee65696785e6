"""`mlrpl collect`: one tidy CSV of the metrics of many settings."""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("metrics", nargs="+", help="metrics.json files")
    parser.add_argument("--output", required=True, help="metrics.csv to write")
    parser.add_argument("--per-class", help="CSV of each class's AP to write")


def run(args: argparse.Namespace) -> None:
    from mlrpl.reporting.results import load_metrics, per_class, write_csv

    write_csv(load_metrics(args.metrics), args.output)
    if args.per_class:
        write_csv(per_class(args.metrics), args.per_class)
