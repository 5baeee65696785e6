"""`mlrpl methods`: a table of the configured methods."""

import argparse

from mlrpl.commands.config_arguments import add_config_arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_config_arguments(parser)


def run(args: argparse.Namespace) -> None:
    from mlrpl.config import files
    from mlrpl.config.validation import validate
    from mlrpl.reporting import method_table

    config = validate(files.load_config(args.configfile, args.config))
    print(method_table.to_markdown(config))
