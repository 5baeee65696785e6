"""`mlrpl tune`: the trials of one method as a table, or the recipes that won."""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    given = parser.add_mutually_exclusive_group(required=True)
    given.add_argument(
        "--runs",
        nargs="+",
        metavar="RUN_JSON",
        help="run.json of a method's trials, each with its history.csv beside it",
    )
    given.add_argument(
        "--tables", nargs="+", metavar="CSV", help="what --runs made, to choose from"
    )
    parser.add_argument(
        "--options",
        nargs="*",
        default=[],
        metavar="OPTION",
        help="with --runs: what a recipe has",
    )
    parser.add_argument(
        "--output",
        required=True,
        help="with --runs a CSV, beside which .md .tex .html are written; with "
        "--tables a YAML",
    )


def run(args: argparse.Namespace) -> None:
    from mlrpl.reporting import tuning, tuning_grid
    from mlrpl.reporting.table_formats import write_grid

    if args.runs:
        trials = tuning.table(args.runs, args.options)
        tuning.write_table(trials, args.output)
        prefix = Path(args.output).with_suffix("")
        write_grid(tuning_grid.to_grid(trials), prefix)
    else:
        tuning.write_recipes(tuning.read_tables(args.tables), args.output)
