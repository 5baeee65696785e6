"""How a command is told its encoder."""

import argparse


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Add `--model`, `--pretrained`, `--weights` and `--image-size`."""
    parser.add_argument(
        "--model", required=True, help="open_clip's name, or a model config (.json)"
    )
    parser.add_argument(
        "--pretrained", required=True, help="open_clip's tag, or a checkpoint file"
    )
    parser.add_argument(
        "--weights", nargs="*", help="the file of the tag, if it is at hand"
    )
    parser.add_argument("--image-size", type=int, required=True, help="in pixels")
