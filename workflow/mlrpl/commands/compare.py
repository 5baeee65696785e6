"""`mlrpl compare`: methods against one of them, or two folders of results."""

import argparse

from mlrpl.errors import UserError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "places",
        nargs="*",
        metavar="RUN",
        help="run folders, folders above them, or files of `mlrpl resample`",
    )
    parser.add_argument(
        "--against",
        metavar="METHOD",
        help="the method that the others are compared to; or JSON, one for each",
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
        default="{}",
        metavar="JSON",
        help='what to call methods and data sets: {"sarl": "SARL"}',
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
    if not 0.5 <= args.level < 1:
        raise UserError(f"--level: {args.level} is not allowed; give 0.5 to 0.999")

    from mlrpl.reporting import comparisons as report
    from mlrpl.statistics import comparisons, grids, resampling
    from mlrpl.statistics.run_folders import load_runs

    resampling.check(args.resamples)
    indexes, titles = _indexes(args.index), _texts("--titles", args.titles)
    runs = grids.grids(load_runs(args.places, args.epoch, args.resamples, indexes))
    against = args.against
    if against.lstrip().startswith("{"):
        against = _texts("--against", against)
    rows = comparisons.compare(runs, against, args.metric, args.level)
    classes = comparisons.by_class(runs, against, args.level)
    report.write(
        *(rows, classes, args.level),
        titles=titles,
        prefix=args.output,
    )
    print(Path(f"{args.output}.md").read_text(encoding="utf-8"), end="")


def _indexes(words: list[str]) -> dict[str, str]:
    found = {}
    for word in words:
        name, equals, path = word.partition("=")
        if not equals or not name or not path:
            raise UserError(f"--index: {word} is not DATASET=PATH; write it so")
        found[name] = path
    return found


def _texts(flag: str, text: str) -> dict[str, str]:
    import json

    try:
        found = json.loads(text)
    except ValueError as error:
        raise UserError(f"{flag}: is not JSON ({error}); quote it as one word") from (
            error
        )
    if not isinstance(found, dict) or not all(
        isinstance(title, str) for title in found.values()
    ):
        raise UserError(f'{flag}: is no object of texts; give {{"sarl": "SARL"}}')
    return found
