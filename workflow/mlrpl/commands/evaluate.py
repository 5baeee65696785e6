"""`mlrpl evaluate`: metrics of one setting from its test scores."""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--method", required=True)
    parser.add_argument("--prop", required=True, type=float, help="known labels, 0..1")
    parser.add_argument("--seed", required=True, type=int)
    parser.add_argument("--scores", required=True, help="scores.h5 of the run")
    parser.add_argument("--index", required=True, help="index of the scored images")
    parser.add_argument("--output", required=True, help="metrics.json to write")
    parser.add_argument(
        "--thresholds",
        help="JSON of each class's threshold to write, if the run has held-out images",
    )


def run(args: argparse.Namespace) -> None:
    from mlrpl.evaluation.score_files import (
        class_thresholds,
        evaluate_file,
        write_json,
    )

    setting = {name: getattr(args, name) for name in ("dataset", "method")}
    setting |= {"prop": args.prop, "seed": args.seed}
    files = (args.scores, args.index)
    metrics = setting | evaluate_file(*files)
    if args.thresholds and (thresholds := class_thresholds(*files)):
        write_json(thresholds, args.thresholds)
    write_json(metrics, args.output)
