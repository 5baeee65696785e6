"""`mlrpl demo`: what the embedded demo starts from."""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parts = parser.add_subparsers(dest="part", required=True, metavar="PART")
    data = parts.add_parser("data", help="the archives of both data sets, the vectors")
    data.add_argument("--output", type=Path, required=True, help="folder")
    data.add_argument("--processes", type=int, default=2, help="that draw at once")
    clip = parts.add_parser("clip", help="train the small CLIP (ten minutes)")
    clip.add_argument("--output", type=Path, required=True, help="folder")
    clip.add_argument("--threads", type=int, default=2)


def run(args: argparse.Namespace) -> None:
    if args.part == "data":
        from mlrpl.demo.archives import write_archives
        from mlrpl.demo.corpus import write_corpus_vectors
        from mlrpl.demo.workers import workers

        with workers(args.processes) as imap:
            write_archives(args.output, imap=imap)
            write_corpus_vectors(args.output / "glove.txt", imap)
    else:
        from mlrpl.demo.small_clip import RECIPE, make_clip

        make_clip(args.output, RECIPE, args.threads)
