"""`mlrpl compare`: methods against one of them, or two folders of results."""

import argparse

from mlrpl.errors import UserError

# Fewer leave no resample beyond the ends of an interval of 95 %.
FEWEST_RESAMPLES = 100


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "places",
        nargs="*",
        metavar="RUN",
        help="run folders, folders above them, or files of `mlrpl resample`",
    )
    parser.add_argument(
        "--against", metavar="METHOD", help="the method that the others are compared to"
    )
    parser.add_argument(
        "--runs",
        nargs=2,
        metavar=("A", "B"),
        help="in place of RUN: two folders of results, to see what differs",
    )
    parser.add_argument(
        "--metric", nargs="+", default=["mAP"], help="as metrics.csv names them"
    )
    parser.add_argument(
        "--epoch", default="last", choices=["last", "best", "validated"]
    )
    parser.add_argument("--level", type=float, default=0.95, help="of the intervals")
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument(
        "--index",
        nargs="+",
        default=[],
        metavar="DATASET=H5",
        help="indexes of the test images, if not in results/data/DATASET/test.h5",
    )
    parser.add_argument(
        "--titles",
        nargs="+",
        default=[],
        metavar="NAME=TITLE",
        help="what to call methods and data sets",
    )
    parser.add_argument(
        "--output", required=True, metavar="PREFIX", help="writes PREFIX.csv .md .json"
    )


def run(args: argparse.Namespace) -> None:
    from pathlib import Path

    if args.runs:
        if args.places or args.against:
            raise UserError("--runs: takes two folders alone, without RUN or --against")
        from mlrpl.reporting import reruns

        found, alone = reruns.compare(*args.runs, args.metric, args.epoch)
        print(reruns.write(found, *args.runs, alone, args.output), end="")
        return
    if not args.places or not args.against:
        raise UserError("give RUN ... --against METHOD, or --runs A B")
    check_resamples(args.resamples)
    if not 0.5 <= args.level < 1:
        raise UserError(f"--level: {args.level} is not allowed; give 0.5 to 0.999")

    from mlrpl.reporting import comparisons as report
    from mlrpl.statistics import comparisons
    from mlrpl.statistics.run_folders import load_runs

    indexes = _pairs("--index", args.index)
    runs = comparisons.grids(
        load_runs(args.places, args.epoch, args.resamples, indexes)
    )
    rows = comparisons.compare(runs, args.against, args.metric, args.level)
    classes = comparisons.by_class(runs, args.against, args.level)
    report.write(
        *(rows, classes, args.level),
        titles=_pairs("--titles", args.titles),
        prefix=args.output,
    )
    print(Path(f"{args.output}.md").read_text(encoding="utf-8"), end="")


def check_resamples(number: int) -> None:
    """Refuse a number of resamples that no interval can be made of."""
    if number < FEWEST_RESAMPLES:
        raise UserError(
            f"--resamples: {number} is not allowed; give at least {FEWEST_RESAMPLES}"
        )


def _pairs(flag: str, words: list[str]) -> dict[str, str]:
    # A method's name has equals signs of its own: sarl+loss=p_bce=Title.
    pairs = {}
    for word in words:
        name, equals, value = word.rpartition("=")
        if not equals or not name or not value:
            raise UserError(f"{flag}: {word} is not NAME=VALUE; write it so")
        pairs[name] = value
    return pairs
