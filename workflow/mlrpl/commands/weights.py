"""`mlrpl weights`: the weights of an open_clip tag, as a file."""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", required=True, help="open_clip's name")
    parser.add_argument("--pretrained", required=True, help="open_clip's tag")
    parser.add_argument("--sha256", help="hash of the file to take, and no other")
    parser.add_argument("--output", required=True, help="where the file goes")


def run(args: argparse.Namespace) -> None:
    from mlrpl.encoder.fetching import fetch_weights

    digest = fetch_weights(args.model, args.pretrained, args.output, args.sha256)
    print(f"{args.output}: {args.model}, {args.pretrained}; SHA-256 {digest}")
