"""A table's spec and its contents, as the tests of tables make them."""

import json
from pathlib import Path

from mlrpl.reporting import published, results, tables
from mlrpl.reporting.specs import load_spec

PUBLISHED = Path(__file__).resolve().parents[2] / "workflow" / "published"
NINE = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
PAPER_METHODS = ["SSGRL", "GCN-ML", "KGGR", "SST", "HST", "SARB", "DSRB", "Ours"]


def spec(**changes):
    """A table of `sarl` on COCO, as `load_spec` returns it."""
    base = {
        "title": "A table",
        "layout": "proportions",
        "datasets": [{"name": "coco2014", "title": "MS-COCO", "published": "coco2014"}],
        "methods": [{"name": "sarl", "title": "SARL", "published": ["Ours"]}],
        "proportions": NINE,
    }
    return load_spec(json.dumps({**base, **changes}), "table")


def build(spec, paths, *names):
    runs = results.load_metrics(paths, tables.extras(spec))
    files = [PUBLISHED / f"{name}.csv" for name in names]
    return tables.build(spec, runs, published.load_published(files))
