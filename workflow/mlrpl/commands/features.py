"""`mlrpl features`: frozen image features of one shard of a split."""

import argparse
from collections.abc import Sequence

from mlrpl.commands import class_texts
from mlrpl.commands.model_arguments import add_model_arguments
from mlrpl.errors import UserError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model_arguments(parser)
    for name in ("mean", "std"):
        parser.add_argument(
            f"--{name}",
            nargs="+",
            default=["clip"],
            metavar="clip|R G B",
            help="of the normalisation",
        )
    parser.add_argument("--views", default="full", help="names, with commas between")
    parser.add_argument(
        "--exif-rotation",
        action="store_true",
        help="turn pictures as their EXIF entry says",
    )
    parser.add_argument(
        "--tokens",
        action="store_true",
        help="the locations in the joint space, in place of the pooled map",
    )
    parser.add_argument("--index", required=True, help="index of the split")
    parser.add_argument("--images", required=True, help="archive or folder")
    class_texts.add_argument(
        *(parser, "--names", "CLASS=TEXT"),
        "as `mlrpl encoder` will be given, to be checked before the first image",
    )
    parser.add_argument("--shard", type=int, default=0, help="counted from 0")
    parser.add_argument("--shards", type=int, default=1)
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])
    parser.add_argument(
        "--batch-size",
        type=int,
        default=64,
        help="images encoded at once",
    )
    parser.add_argument("--threads", type=int, default=1, help="that decode images")
    parser.add_argument("--output", required=True, help="HDF5")


def run(args: argparse.Namespace) -> None:
    for name, least in (("image_size", 32), ("batch_size", 1), ("threads", 1)):
        if getattr(args, name) < least:
            raise UserError(
                f"--{name.replace('_', '-')}: {getattr(args, name)} is not allowed; "
                f"give at least {least}"
            )

    from mlrpl.data.index import Index
    from mlrpl.encoder import images
    from mlrpl.encoder.clip import load_clip, model_config
    from mlrpl.encoder.features import extract, shard_range
    from mlrpl.runtime.device import choose_device
    from mlrpl.text.class_names import check_class_texts
    from mlrpl.text.export import text_side

    preparation = images.Preparation(
        image_size=args.image_size,
        mean=_colour("mean", args.mean, images.CLIP_MEAN),
        std=_colour("std", args.std, images.CLIP_STD),
        views=tuple(args.views.split(",")),
        exif_rotation=args.exif_rotation,
    )
    names = class_texts.parse(args.names, "--names", "CLASS=TEXT")
    device = choose_device(args.device)
    index = Index.load(args.index)
    shard_range(len(index.images), args.shard, args.shards)
    # What the text side cannot do is said now, not when all features are made.
    check_class_texts(args.model, model_config(args.model), index.classes, names)
    [weights] = args.weights or [None]
    clip = load_clip(args.model, args.pretrained, args.image_size, weights)
    text_side(clip, index.classes, names)
    extract(
        clip,
        index,
        args.images,
        args.output,
        preparation,
        shard=args.shard,
        shards=args.shards,
        device=device,
        batch_size=args.batch_size,
        threads=args.threads,
        tokens=args.tokens,
    )


def _colour(name: str, texts: list[str], clip: Sequence[float]) -> Sequence[float]:
    if texts == ["clip"]:
        return clip
    try:
        return [float(text) for text in texts]
    except ValueError as error:
        raise UserError(
            f"--{name}: {' '.join(texts)} is not allowed; give clip or three numbers"
        ) from error
