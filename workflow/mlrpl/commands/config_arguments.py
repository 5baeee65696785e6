"""How a command is told its configuration: as snakemake is."""

import argparse


def add_config_arguments(parser: argparse.ArgumentParser) -> None:
    """Add `--configfile` and `--config`, for `config.files.load_config`."""
    parser.add_argument(
        "--configfile",
        nargs="+",
        action="extend",
        default=[],
        metavar="FILE",
        help="over config.yaml, in this order, as for snakemake",
    )
    parser.add_argument(
        "--config",
        nargs="+",
        action="extend",
        default=[],
        metavar="KEY=VALUE",
        help="over all files, as for snakemake",
    )
