"""`mlrpl methods`: a table of the configured methods."""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
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


def run(args: argparse.Namespace) -> None:
    from mlrpl.config import files
    from mlrpl.config.validation import validate
    from mlrpl.reporting import method_table

    config = validate(files.load_config(args.configfile, args.config))
    print(method_table.to_markdown(config))
