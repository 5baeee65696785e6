"""The index of the test split is made beside that of the training split, and first."""

import re

import pytest

pytestmark = pytest.mark.workflow


def test_the_test_index_is_compared_with_the_training_index(finished):
    target = "results/data/mine/test.h5"
    plan = finished.plan(target, "-p", "--forcerun", "index_csv")
    lines = [" ".join(line.split()) for line in plan.splitlines()]
    commands = [line for line in lines if "mlrpl index csv" in line]
    [train] = [line for line in commands if "--split train" in line]
    [test] = [line for line in commands if "--split test" in line]
    assert "--beside" not in train
    assert "--beside results/data/mine/train.h5 --beside-images mine/i.zip" in test
    assert re.findall(r"priority: (\d+)", plan) == ["1", "1"]
