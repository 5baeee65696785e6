"""How a table or a figure is told its contents."""

import argparse


def add_shown_arguments(parser: argparse.ArgumentParser, kind: str) -> None:
    """Add `--spec`, `--published`, `--metrics` and `--resamples`.

    Args:
        parser: of the command.
        kind: "table" or "figure", as the spec's schema is called.
    """
    parser.add_argument(
        "--spec",
        required=True,
        help="contents: a JSON object or file; see "
        f"workflow/schemas/{kind}.schema.yaml",
    )
    parser.add_argument(
        "--published", nargs="*", default=[], help="CSV files of printed numbers"
    )
    parser.add_argument(
        "--metrics", nargs="*", default=[], help="metrics.json files of the settings"
    )
    parser.add_argument(
        "--resamples",
        nargs="*",
        default=[],
        help="files of `mlrpl resample`, where the spec asks for intervals",
    )
