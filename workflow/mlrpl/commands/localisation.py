"""`mlrpl localisation`: the table of how well attention finds the objects."""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--spec",
        required=True,
        help="contents: a JSON object or file; see workflow/schemas/table.schema.yaml",
    )
    parser.add_argument(
        "--runs", nargs="*", default=[], metavar="JSON", help="localisation.json files"
    )
    parser.add_argument(
        "--output", required=True, metavar="PREFIX", help="writes PREFIX.csv .md .tex"
    )


def run(args: argparse.Namespace) -> None:
    from mlrpl.reporting import localisation, table_formats
    from mlrpl.reporting.specs import load_spec

    spec = load_spec(args.spec, "table")
    table = localisation.build(spec, localisation.load_localisation(args.runs))
    table_formats.write(table, args.output)
