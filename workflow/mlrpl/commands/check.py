"""`mlrpl check`: every picture and label of the data sets, before the run."""

import argparse
import sys

from mlrpl.commands.config_arguments import add_config_arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_config_arguments(parser)
    parser.add_argument(
        "--dataset", nargs="+", metavar="NAME", help="these alone; by default all"
    )
    parser.add_argument("--threads", type=int, default=4, help="that decode pictures")


def run(args: argparse.Namespace) -> None:
    from tqdm import tqdm

    from mlrpl.config import files
    from mlrpl.config.specs import did_you_mean
    from mlrpl.config.validation import validate
    from mlrpl.doctor import pictures
    from mlrpl.errors import UserError

    config = validate(files.load_config(args.configfile, args.config))
    if args.threads < 1:
        raise UserError(f"--threads: {args.threads} is not allowed; give at least 1")
    found = []
    own = [n for n, d in config["datasets"].items() if not d["same_images_as"]]
    for dataset in args.dataset or own:
        if dataset not in config["datasets"]:
            hint = did_you_mean(dataset, config["datasets"]) or "name one of the config"
            raise UserError(f"--dataset: {dataset}: unknown data set; {hint}")
        checks = {}
        for split in ("train", "test"):
            with tqdm(desc=f"{dataset} {split}", unit=" pictures", disable=None) as bar:
                checks[split] = pictures.check_split(
                    config, dataset, split, args.threads, bar.update
                )
        counts = ", ".join(f"{len(c.index.images)} {s}" for s, c in checks.items())
        print(f"{dataset}: {counts} pictures")
        print("\n".join(pictures.class_table(checks)))
        for note in pictures.notes(checks):
            print(note)
        for fault in pictures.faults(checks):
            found.append(fault)
            print(f"! {fault}")
    print("not ready: see the lines that start with !" if found else "ready")
    if found:
        sys.exit(1)
