"""`mlrpl export`: a trained setting in one file, for `mlrpl predict`."""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "run", metavar="RUN", help="results/runs/DATASET/METHOD/prop=P/seed=S"
    )
    parser.add_argument(
        "--output", required=True, metavar="FILE", help="the file to write, safetensors"
    )


def run(args: argparse.Namespace) -> None:
    from pathlib import Path

    from mlrpl.prediction.exported import write_export
    from mlrpl.prediction.saved import load_trained

    write_export(load_trained(args.run), args.output)
    size = Path(args.output).stat().st_size
    print(f"{args.output}: {size / 1e6:.1f} MB")
