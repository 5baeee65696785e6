"""`mlrpl runs`: what has run, and two runs class by class."""

import argparse

from mlrpl.commands.config_arguments import add_config_arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_config_arguments(parser)
    parser.add_argument(
        "--compare",
        nargs=2,
        metavar=("A", "B"),
        help="AP by class of two runs: voc2007/sarl/prop=0.5/seed=0 and another",
    )


def run(args: argparse.Namespace) -> None:
    from mlrpl.config import files
    from mlrpl.config.validation import validate
    from mlrpl.reporting import run_lists

    config = validate(files.load_config(args.configfile, args.config))
    if args.compare:
        print(run_lists.compared(config, *args.compare))
    else:
        print(run_lists.listed(config))
