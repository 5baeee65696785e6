"""`mlrpl glove`: class vectors out of GloVe's published file."""

import argparse

from mlrpl.commands import class_texts


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--vectors", required=True, help="text file, plain or gzipped, or zip"
    )
    parser.add_argument("--member", help="text file in the zip, if it holds several")
    parser.add_argument("--index", required=True, help="index that has the classes")
    class_texts.add_argument(
        *(parser, "--words", "CLASS=WORDS"),
        'other words for a class: "tvmonitor=tv monitor"',
    )
    parser.add_argument("--output", required=True, help="float32 .npy [C, D]")


def run(args: argparse.Namespace) -> None:
    import numpy as np

    from mlrpl.data.index import Index
    from mlrpl.embeddings.glove import class_vectors
    from mlrpl.runtime.storage import atomic_path

    classes = Index.load(args.index).classes
    vectors = class_vectors(
        args.vectors,
        classes,
        member=args.member,
        words=class_texts.parse(args.words, "--words", "CLASS=WORDS"),
    )
    with atomic_path(args.output) as temporary, temporary.open("wb") as file:
        np.save(file, vectors)
    print(f"{args.output}: {len(classes)} classes, {vectors.shape[1]} numbers each")
