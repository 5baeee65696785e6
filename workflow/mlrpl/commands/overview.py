"""`mlrpl overview`: one HTML page with all tables and figures, and what they say."""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--contents",
        required=True,
        help="a JSON object or file; see workflow/schemas/overview.schema.yaml",
    )
    parser.add_argument(
        "--shown", nargs="+", required=True, help="files of the items, in their order"
    )
    parser.add_argument(
        "--runs", nargs="*", default=[], help="run.json files, for hours and devices"
    )
    parser.add_argument("--output", required=True, type=Path, help="HTML")


def run(args: argparse.Namespace) -> None:
    from mlrpl.errors import UserError
    from mlrpl.reporting import overview, provenance, summary
    from mlrpl.reporting.specs import load_spec
    from mlrpl.runtime.storage import atomic_path

    contents = load_spec(args.contents, "overview")
    if len(args.shown) != len(contents["items"]):
        raise UserError(
            f"--shown: {len(args.shown)} files for {len(contents['items'])} items; "
            "give one for each"
        )
    items = []
    for item, file in zip(contents["items"], args.shown, strict=True):
        items.append(overview.Item(**item, file=Path(file)))
    compared = [
        (item.title, item.file.with_suffix(".csv"))
        for item in items
        if item.file.suffix == ".html" and item.file.with_suffix(".csv").exists()
    ]
    page = overview.to_html(
        contents["title"],
        contents["about"],
        summary.build(compared),
        provenance.facts(args.runs),
        items,
    )
    with atomic_path(args.output) as temporary:
        temporary.write_text(page, encoding="utf-8")
