"""`mlrpl shards`: the list of a split's feature files."""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--count", type=int, required=True, help="how many there are")
    parser.add_argument(
        "--output", required=True, help="JSON, in the folder of the shards"
    )


def run(args: argparse.Namespace) -> None:
    from mlrpl.encoder import shard_list

    shards = shard_list.write(args.output, args.count)
    print(f"{args.output}: {len(shards)} shards")
