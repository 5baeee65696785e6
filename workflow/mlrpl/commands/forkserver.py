"""`mlrpl forkserver`: small commands in forks of one process, while a workflow runs."""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--socket", required=True, help="where commands find it")


def run(args: argparse.Namespace) -> None:
    from mlrpl.__main__ import main
    from mlrpl.runtime.forkserver import serve

    serve(args.socket, main)
