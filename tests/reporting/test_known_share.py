"""What is known of all cells, where labels are partial from the start."""

import json

import numpy as np
import pytest

from mlrpl.reporting import figures, known_share, tables
from mlrpl.reporting.published import load_published
from mlrpl.reporting.results import load_metrics
from mlrpl.reporting.specs import load_spec
from support.synthetic_metrics import write_run

COUNTS = {  # of 1,000 cells a third is unknown from the start, the rest is dropped
    0.5: {"positive": 60, "negative": 300, "unknown": 640},
    1.0: {"positive": 120, "negative": 546, "unknown": 334},
}


def runs_of(folder, counts, **options):
    paths = [write_run(folder, "sarl", prop, 0, 50.0, **options) for prop in counts]
    for path, known in zip(paths, counts.values(), strict=True):
        run = json.loads(path.with_name("run.json").read_text())
        path.with_name("run.json").write_text(json.dumps({**run, "known": known}))
    return load_metrics(paths, {"known": False})


def spec(of, **contents):
    base = {
        "title": "T",
        "datasets": [{"name": "coco2014", "title": "Mine"}],
        "methods": [{"name": "sarl", "title": "Ours"}],
        "proportions": list(COUNTS),
        **contents,
    }
    return load_spec(json.dumps(base), of)


def test_a_table_says_what_is_known_of_all_cells(tmp_path):
    runs = runs_of(tmp_path, COUNTS)
    table = tables.build(spec("table", layout="proportions"), runs, load_published([]))
    assert table.notes[-1] == (
        "Mine: of all cells 36 % at 50 %, 67 % at 100 % are known, since proportions "
        "are of the labels that it has, or that its masks choose from."
    )


def test_a_figure_says_it_below_the_panels_title(tmp_path):
    runs = runs_of(tmp_path, COUNTS)
    [[panel]] = figures.build(spec("figure", kind="curve"), runs, load_published([]))
    assert panel.note == "known of all cells: 36 % at 50 % to 67 % at 100 %"


def test_nothing_is_said_of_whole_labels(tmp_path):
    whole = {0.5: {"positive": 55, "negative": 440, "unknown": 505}}
    runs = runs_of(tmp_path, whole)
    assert known_share.table_notes([{"name": "coco2014", "title": "Mine"}], runs) == []
    assert known_share.panel_note({"name": "coco2014"}, runs) == ""


@pytest.mark.parametrize("counts", [None, {}, {"positive": 1}, 3])
def test_counts_that_a_run_did_not_record(counts):
    assert np.isnan(known_share.share(counts))
