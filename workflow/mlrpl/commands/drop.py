"""`mlrpl drop`: drop labels at random, seeded, at one proportion."""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--index", required=True, help="index of the training split")
    parser.add_argument(
        "--prop", required=True, type=float, help="proportion of labels to keep, (0, 1]"
    )
    parser.add_argument(
        "--seed", required=True, type=int, help="0 gives the published masks"
    )
    parser.add_argument(
        "--masks",
        default="uniform",
        help="uniform, single_positive, fixed_per_class or positives_only",
    )
    parser.add_argument("--output", required=True, help="int8 .npy [N, C] in -1, 0, 1")


def run(args: argparse.Namespace) -> None:
    import numpy as np

    from mlrpl.data.index import Index
    from mlrpl.data.masks import scheme
    from mlrpl.data.row_blocks import label_counts
    from mlrpl.runtime.storage import atomic_path

    drop_labels = scheme(args.masks)
    index = Index.load(args.index)
    known = drop_labels(index.labels, args.prop, args.seed)
    with atomic_path(args.output) as temporary, temporary.open("wb") as file:
        np.save(file, known)
    counts = label_counts(known)
    told, positive = known.size - counts["unknown"], counts["positive"]
    print(
        f"{args.output}: {told} of {known.size} labels known, {positive} of them "
        "positive"
    )
