"""`mlrpl cost`: hours, memory and energy of finished runs, added up."""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "runs", nargs="+", metavar="RUN_JSON", help="run.json files, or folders of runs"
    )
    parser.add_argument(
        "--output", required=True, metavar="PREFIX", help="writes PREFIX.csv .md"
    )


def run(args: argparse.Namespace) -> None:
    from pathlib import Path

    from mlrpl.reporting import cost

    paths = [
        found
        for place in map(Path, args.runs)
        for found in (sorted(place.rglob("run.json")) if place.is_dir() else [place])
    ]
    print(cost.write(cost.add_up(paths), args.output), end="")
