"""`mlrpl per_class`: the AP of each class, one column a method, as an HTML page."""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("per_class", help="per_class_ap.csv of mlrpl collect")
    parser.add_argument(
        "--methods", required=True, help="a JSON object: name to title, in order"
    )
    parser.add_argument("--datasets", required=True, help="a JSON object, likewise")
    parser.add_argument("--output", required=True, type=Path, help="HTML")


def run(args: argparse.Namespace) -> None:
    from mlrpl.reporting import class_table, results, table_html
    from mlrpl.reporting.specs import load_titles
    from mlrpl.runtime.storage import atomic_path

    methods = load_titles(args.methods, "--methods")
    datasets = load_titles(args.datasets, "--datasets")
    grid = class_table.build(results.read_csv(args.per_class), methods, datasets)
    with atomic_path(args.output) as temporary:
        temporary.write_text(table_html.to_html(grid), encoding="utf-8")
