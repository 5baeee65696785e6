"""Pairs of runs that an ablation compares, by their canonical names."""

import pytest

from mlrpl.config import validation as configuration
from mlrpl.config.comparing import canonical_pairs
from mlrpl.errors import UserError
from support.configs import merged

LAST = "sarl+warmup_epochs=1"
PAIRS = {
    "sarl+pooled=raw": "sarl+pooled=fused",
    "sarl+warmup_epochs=0": "sarl+warmup_epochs=1",
    "sarl+gamma_pos=1": "sarl",
}


def test_pairs_are_canonical_and_of_two_runs(paper):
    assert canonical_pairs(configuration.validate(paper), PAIRS) == {
        "sarl+pooled=raw": "sarl",
        "sarl+warmup_epochs=0": "sarl",
    }


def test_two_pairs_that_begin_with_one_run_are_both_kept(paper):
    """Under options with which the first of both is the plain method."""
    changes = {"options": {"pooled": "raw", "warmup_epochs": 0}}
    valid = configuration.validate(merged(paper, changes))
    assert canonical_pairs(valid, PAIRS) == {
        "sarl": "sarl+pooled=fused",
        "sarl+warmup_epochs=1": "sarl",
    }
    # The first begins with `sarl`, the second was turned round: no place for a third.
    third = {**PAIRS, "sarl+margin=0.05": "sarl+warmup_epochs=1"}
    assert canonical_pairs(valid, third) == canonical_pairs(valid, PAIRS)
    third["sarl+pooled=fused"] = "sarl+margin=0"
    assert canonical_pairs(valid, third)["sarl+pooled=fused"] == "sarl+margin=0"
    with pytest.raises(UserError, match="begin with one run in this configuration"):
        canonical_pairs(valid, {**third, "sarl+pooled=fused+margin=0.05": LAST})
