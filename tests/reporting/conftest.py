"""Runs whose metrics the tests of tables work out by hand."""

import pytest

from support.synthetic_metrics import write_run
from support.tables import NINE


@pytest.fixture
def grid(tmp_path):
    """`sarl` on COCO at nine proportions and three seeds; mAP by (prop, seed)."""
    values = {(p, s): 60 + 20 * p + 0.37 * s * (1 + p) for p in NINE for s in range(3)}
    paths = [
        write_run(tmp_path, "sarl", p, s, {"mAP": v, "OF1": v - 5, "CF1": v - 8}, v + 1)
        for (p, s), v in values.items()
    ]
    return paths, values
