"""`mlrpl clipvectors`: class vectors out of CLIP's text tower."""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--clip", required=True, help="text side of CLIP, safetensors")
    parser.add_argument("--output", required=True, help="float32 .npy [C, D]")


def run(args: argparse.Namespace) -> None:
    import numpy as np

    from mlrpl.runtime.storage import atomic_path
    from mlrpl.text.class_features import class_features

    vectors = class_features(args.clip)
    with atomic_path(args.output) as temporary, temporary.open("wb") as file:
        np.save(file, vectors)
    print(f"{args.output}: {len(vectors)} classes, {vectors.shape[1]} numbers each")
