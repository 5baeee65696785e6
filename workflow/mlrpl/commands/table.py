"""`mlrpl table`: a table as CSV, Markdown, LaTeX and HTML."""

import argparse

from mlrpl.commands.shown_arguments import add_shown_arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_shown_arguments(parser, "table")
    parser.add_argument(
        "--output",
        required=True,
        metavar="PREFIX",
        help="writes PREFIX.csv .md .tex .html",
    )


def run(args: argparse.Namespace) -> None:
    from mlrpl.reporting import published, results, table_formats, tables
    from mlrpl.reporting.specs import load_spec
    from mlrpl.statistics.resample_files import Resamples

    spec = load_spec(args.spec, "table")
    extras = {**tables.extras(spec), "known": False}
    runs = results.load_metrics(args.metrics, extras)
    printed = published.load_published(args.published)
    resamples = map(Resamples.load, args.resamples)
    table = tables.build(spec, runs, printed, resamples)
    table_formats.write(table, args.output)
