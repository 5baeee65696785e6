"""Draws of images and seeds."""

import numpy as np
import pytest

from mlrpl.statistics.resampling import (
    MOST_GROUPS,
    image_counts,
    jackknife_groups,
    seed_draws,
)


@pytest.mark.parametrize("images", [1, 7, 450])
def test_rows_are_the_sample_its_resamples_and_what_is_left_of_it(images):
    groups = jackknife_groups(images)
    counts = np.concatenate(list(image_counts(images, 30, groups)))
    assert counts.shape == (1 + 30 + groups, images)
    assert (counts[0] == 1).all()
    assert (counts[1:31].sum(axis=1) == images).all()
    left_out = 1 - counts[31:].astype(int)
    assert (left_out.sum(axis=0) == 1).all()
    sizes = left_out.sum(axis=1)
    assert sizes.max() - sizes.min() <= 1
    assert groups == min(images, MOST_GROUPS)


def test_counts_are_those_of_draws_with_replacement():
    counts = np.concatenate(list(image_counts(500, 400, 0)))[1:]
    shares = [np.mean(counts == k) for k in range(4)]
    assert shares == pytest.approx([0.368, 0.368, 0.184, 0.061], abs=0.005)
    assert np.std(counts.mean(axis=0)) == pytest.approx(1 / np.sqrt(400), rel=0.1)


def test_draws_depend_on_numbers_alone():
    first, again = (np.concatenate(list(image_counts(60, 5, 9))) for _ in range(2))
    assert np.array_equal(first, again)
    more = np.concatenate(list(image_counts(60, 8, 9)))
    assert np.array_equal(more[:6], first[:6])
    assert np.array_equal(seed_draws(4, 50), seed_draws(4, 50))
    assert set(np.unique(seed_draws(4, 50))) == {0, 1, 2, 3}
    assert seed_draws(4, 50).shape == (50, 4)
