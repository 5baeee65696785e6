"""`mlrpl resample`: metrics of one run's resampled test images."""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--method", required=True)
    parser.add_argument("--prop", required=True, type=float, help="known labels, 0..1")
    parser.add_argument("--seed", required=True, type=int)
    parser.add_argument("--scores", required=True, help="scores.h5 of the run")
    parser.add_argument("--index", required=True, help="index of the scored images")
    parser.add_argument(
        "--epoch", default="last", choices=["last", "best", "validated"]
    )
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--output", required=True, help="HDF5 to write")


def run(args: argparse.Namespace) -> None:
    from mlrpl.statistics import resampling
    from mlrpl.statistics.resample_files import SETTING, resample

    resampling.check(args.resamples)
    setting = {name: getattr(args, name) for name in SETTING}
    files = (args.scores, args.index)
    resample(setting, *files, args.epoch, args.resamples).save(args.output)
