"""`mlrpl download`: fetch one file and check that it is whole."""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--output", required=True, help="where the file goes")
    parser.add_argument(
        "--url", nargs="+", required=True, help="addresses, tried in turn"
    )
    parser.add_argument("--sha256", help="hash that the file must have")
    parser.add_argument("--md5", help="hash that the file must have")
    parser.add_argument("--size", type=int, help="bytes that the file must have")
    parser.add_argument(
        "--retries", type=int, default=3, help="further tries an address (default 3)"
    )
    parser.add_argument(
        "--timeout",
        type=float,
        default=60.0,
        help="seconds to wait for a connection and for each next piece of data "
        "(default 60)",
    )


def run(args: argparse.Namespace) -> None:
    from mlrpl.download.files import download

    download(
        args.url,
        args.output,
        sha256=args.sha256,
        md5=args.md5,
        size=args.size,
        retries=args.retries,
        timeout=args.timeout,
    )
