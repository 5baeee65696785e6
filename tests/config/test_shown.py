"""Which runs stand for the others in the report."""

import pytest

from mlrpl.config.shown import examples


def runs(dataset, methods, props, seeds=(0,)):
    return [
        f"{dataset}/{m}/prop={p}/seed={s}"
        for m in methods
        for p in props
        for s in seeds
    ]


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        ([], []),
        # the middle, the lowest seed
        (runs("a", ["x", "y"], [0.1, 0.5, 0.9], [2, 1]), "xy at 0.5, seed 1"),
        # where most methods run
        (
            runs("a", ["x"], [0.4, 0.5]) + runs("a", ["y"], [0.1, 0.4]),
            "xy at 0.4, seed 0",
        ),
        # methods as they are, if there are any
        (runs("a", ["x", "x+lr=0.1"], [0.3]), "x at 0.3, seed 0"),
    ],
)
def test_a_data_set_is_shown_at_one_setting(made, expected):
    if expected:
        methods, rest = expected.split(" at ")
        prop, seed = rest.split(", seed ")
        expected = [f"a/{m}/prop={prop}/seed={seed}" for m in methods]
    assert examples(made) == expected


def test_each_data_set_has_a_setting_of_its_own():
    made = runs("a", ["x"], [0.9]) + runs("b", ["x+n=1", "y+n=2"], [0.1])
    assert examples(made) == made
