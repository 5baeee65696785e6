"""`mlrpl encoder`: text tower, class tokens and projection of a CLIP."""

import argparse

from mlrpl.commands import class_texts
from mlrpl.commands.model_arguments import add_model_arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model_arguments(parser)
    parser.add_argument("--index", required=True, help="index that has the classes")
    class_texts.add_argument(
        *(parser, "--names", "CLASS=TEXT"),
        'other texts for a class: "tvmonitor=tv monitor"',
    )
    parser.add_argument("--output", required=True, help="safetensors")


def run(args: argparse.Namespace) -> None:
    from mlrpl.data.index import Index
    from mlrpl.encoder.clip import load_clip
    from mlrpl.text.export import export_clip

    names = class_texts.parse(args.names, "--names", "CLASS=TEXT")
    index = Index.load(args.index)
    [weights] = args.weights or [None]
    clip = load_clip(args.model, args.pretrained, args.image_size, weights)
    export_clip(clip, index.classes, names, args.output)
    print(f"{args.output}: {len(index.classes)} classes, text tower of {clip.name}")
