"""`mlrpl examples`: test images of a data set for a figure."""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "kind",
        choices=["attention", "scores", "failures"],
        help="maps of each image's best classes; scores of several runs; errors that a "
        "run is sure of",
    )
    parser.add_argument("--runs", nargs="+", required=True, help="folders of the runs")
    parser.add_argument("--index", required=True, help="index of the test images")
    parser.add_argument("--images", required=True, help="their archive or folder")
    parser.add_argument(
        "--features", nargs="+", required=True, metavar="HDF5", help="all shards"
    )
    parser.add_argument(
        "--choice",
        default="{}",
        help="which images, as JSON: count, labels, seed, names (config.schema.yaml)",
    )
    parser.add_argument("--output", required=True, help="HDF5")


def run(args: argparse.Namespace) -> None:
    import json

    from mlrpl.data.index import Index
    from mlrpl.errors import UserError
    from mlrpl.prediction.choice import Choice
    from mlrpl.prediction.examples import gather

    try:
        choice = Choice(**json.loads(args.choice))
    except (ValueError, TypeError) as error:
        raise UserError(
            f"--choice: {args.choice}: {error}; give a JSON object of count, labels, "
            "seed and names"
        ) from error
    index = Index.load(args.index)
    found = gather(args.kind, index, args.images, args.runs, args.features, choice)
    found.save(args.output)
    images = len({row.name for row in found.rows})
    print(f"{args.output}: {images} images, {len(found.runs)} runs")
