"""Tests over seeds and their correction, against SciPy and by hand."""

import math

import numpy as np
import pytest
import scipy.stats

from mlrpl.statistics.significance import holm, least_sign_flip, sign_flip


def mean(values, axis):
    return np.mean(values, axis=axis)


@pytest.mark.parametrize("seeds", [2, 3, 6, 10])
def test_sign_flips_are_scipys_exact_test(seeds):
    differences = np.random.default_rng(seeds).normal(0.8, 1, seeds)
    expected = scipy.stats.permutation_test(
        *((differences,), mean),
        permutation_type="samples",
        vectorized=True,
        n_resamples=2**seeds,
    )
    assert sign_flip(differences) == pytest.approx(expected.pvalue)


@pytest.mark.parametrize(("seeds", "least"), [(1, 1), (3, 0.25), (6, 1 / 32)])
def test_few_seeds_cannot_be_significant(seeds, least):
    assert sign_flip(np.linspace(1, 1.1, seeds)) == least == least_sign_flip(seeds)


def test_no_difference_is_no_difference():
    assert sign_flip(np.zeros(8)) == 1
    assert sign_flip(np.array([0.1, -0.1, 0.3, -0.3])) == 1


def test_many_seeds_are_drawn():
    assert sign_flip(np.full(30, 0.5)) == pytest.approx(least_sign_flip(30))
    balanced = np.tile([1.0, -1.0], 15)
    assert sign_flip(balanced) == 1


def test_holm_by_hand():
    """Holm's own kind of example: each is multiplied by how many are left."""
    found = holm([0.01, 0.04, 0.03, math.nan, 0.005])
    assert found[:3] == pytest.approx([0.03, 0.06, 0.06])
    assert math.isnan(found[3]) and found[4] == pytest.approx(0.02)
    assert holm([0.7, 0.9]) == [1, 1]
    assert holm([]) == []
