"""`mlrpl context`: the tokens of a text that context vectors start from."""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model", required=True, help="open_clip's name, or a model config (.json)"
    )
    parser.add_argument(
        "--text", required=True, help="as in context_init: a_photo_of_a"
    )
    parser.add_argument("--output", required=True, help="JSON")


def run(args: argparse.Namespace) -> None:
    from mlrpl.text.context_tokens import export_context

    tokens = export_context(args.model, args.text, args.output)
    print(f"{args.output}: {len(tokens)} tokens")
