"""`mlrpl bench`: how fast this machine is, as a table."""

import argparse

from mlrpl.errors import UserError

TITLES = {
    "encoder": "Encoder: JPEG to cached map",
    "cache": "Cache: reading",
    "step": "One training step of `sarl`",
    "methods": "One training step of every method of the tables",
    "epoch": "Epochs, and the paper's whole grid",
    "evaluation": "Evaluation",
    "bootstrap": "Resampled test images",
    "scale": "Many images and classes",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])
    parser.add_argument(
        "--threads", type=int, help="by default all cores; one if --quick"
    )
    parser.add_argument(
        "--quick", action="store_true", help="tiny sizes: shows that it runs"
    )
    parser.add_argument(
        "--parts", default=",".join(TITLES), help="some of them, with commas between"
    )
    parser.add_argument(
        "--methods",
        help="of the part methods, with commas between; by default those of the tables",
    )
    parser.add_argument(
        "--literal-batch",
        type=int,
        help="images of the literal steps; by default 64, on a CPU 8, and scaled",
    )
    parser.add_argument(
        "--output", default="results/bench", help="folder; its disk is measured"
    )


def run(args: argparse.Namespace) -> None:
    parts = args.parts.split(",")
    for part in parts:
        if part not in TITLES:
            raise UserError(
                f"--parts: {part!r} is not a part; choose from {', '.join(TITLES)}"
            )
    methods = None if args.methods is None else args.methods.split(",")
    if methods and "" in methods:
        raise UserError("--methods: '' is not a method; give names with commas between")
    for name in ("threads", "literal_batch"):
        value = getattr(args, name)
        if value is not None and value < 1:
            raise UserError(
                f"--{name.replace('_', '-')}: {value} is not allowed; give at least 1"
            )

    from mlrpl.bench.run import run_parts

    run_parts(
        [part for part in TITLES if part in parts],
        TITLES,
        methods,
        args.device,
        args.threads,
        args.quick,
        args.literal_batch,
        args.output,
    )
