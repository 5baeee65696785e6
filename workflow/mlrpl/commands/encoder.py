"""`mlrpl encoder`: text tower, class tokens and projection of a CLIP."""

import argparse

from mlrpl.errors import UserError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model", required=True, help="open_clip's name, or a model config (.json)"
    )
    parser.add_argument(
        "--pretrained", required=True, help="open_clip's tag, or a checkpoint file"
    )
    parser.add_argument("--image-size", type=int, required=True, help="in pixels")
    parser.add_argument("--index", required=True, help="index that has the classes")
    parser.add_argument(
        "--names",
        nargs="+",
        default=[],
        metavar="CLASS=TEXT",
        help='other texts for a class: "tvmonitor=tv monitor"',
    )
    parser.add_argument("--output", required=True, help="safetensors")


def run(args: argparse.Namespace) -> None:
    from mlrpl.data.index import Index
    from mlrpl.encoder.clip import load_clip
    from mlrpl.encoder.export import export_clip

    names = _pairs(args.names)
    index = Index.load(args.index)
    clip = load_clip(args.model, args.pretrained, args.image_size)
    export_clip(clip, index.classes, names, args.output)
    print(f"{args.output}: {len(index.classes)} classes, text tower of {clip.name}")


def _pairs(texts: list[str]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for text in texts:
        name, equals, words = text.partition("=")
        if not (name and equals and words):
            raise UserError(f"--names: {text!r} is no pair; write CLASS=TEXT")
        if name in pairs:
            raise UserError(f"--names: {name} stands there twice; keep one")
        pairs[name] = words
    return pairs
