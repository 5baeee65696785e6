"""`mlrpl methods`: a table of the configured methods."""

import argparse

from mlrpl.commands.config_arguments import add_config_arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_config_arguments(parser)
    parser.add_argument(
        "--parameters",
        action="store_true",
        help="in its place the trained parameters of each reading of the paper",
    )


def run(args: argparse.Namespace) -> None:
    from mlrpl.config import files
    from mlrpl.config.validation import validate
    from mlrpl.reporting import method_table, parameter_table

    config = validate(files.load_config(args.configfile, args.config))
    table = parameter_table if args.parameters else method_table
    print(table.to_markdown(config))
