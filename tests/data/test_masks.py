"""Dropped labels equal the field's published masks, and are nested."""

import re

import numpy as np
import pytest

from mlrpl.data.index import Index
from mlrpl.data.masks import drop_labels
from mlrpl.errors import UserError
from support.data_files import command

PROPORTIONS = [round(0.1 * k, 1) for k in range(1, 10)]


@pytest.mark.parametrize("prop", [0.1, 0.5, 0.9])
def test_seed_0_gives_the_published_voc_masks(prop, oracles):
    masks = np.load(oracles / "voc2007_known_label_masks.npz")
    known = drop_labels(masks["full"], prop, 0)
    assert known.dtype == np.int8
    np.testing.assert_array_equal(known, masks[f"p{prop}"])


def test_published_statistics_at_ten_percent(oracles):
    """533 of the 5011 images know nothing, 4297 no positive; a class at least 10."""
    full = np.load(oracles / "voc2007_known_label_masks.npz")["full"]
    known = drop_labels(full, 0.1, 0)
    assert (known == 0).all(axis=1).sum() == 533
    assert (known != 1).all(axis=1).sum() == 4297
    assert (known == 1).sum(axis=0).min() == 10


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_known_labels_stay_known_at_larger_proportions(seed, oracles):
    full = np.load(oracles / "voc2007_known_label_masks.npz")["full"]
    smaller = np.zeros_like(full)
    for prop in [*PROPORTIONS, 1.0]:
        known = drop_labels(full, prop, seed)
        assert ((known == full) | (known == 0)).all()
        assert (known[smaller != 0] == smaller[smaller != 0]).all()
        assert (known != 0).mean() == pytest.approx(prop, abs=0.005)
        smaller = known
    np.testing.assert_array_equal(smaller, full)


def test_seeds_differ_and_repeat(oracles):
    full = np.load(oracles / "voc2007_known_label_masks.npz")["full"]
    masks = [drop_labels(full, 0.5, seed) != 0 for seed in (0, 1, 2, 2**32 - 1)]
    for i, a in enumerate(masks):
        for b in masks[:i]:  # independent masks agree on half of the entries
            assert (a == b).mean() == pytest.approx(0.5, abs=0.01)
    np.testing.assert_array_equal(masks[1], drop_labels(full, 0.5, 1) != 0)


def test_a_data_sets_own_unknown_labels_stay_unknown(oracles):
    """And they do not shift the draws of the other entries."""
    full = np.load(oracles / "voc2007_known_label_masks.npz")["full"]
    partial = full.copy()
    partial[::3, ::2] = 0
    for prop in (0.1, 0.9, 1.0):
        known = drop_labels(partial, prop, 0)
        expected = np.where(partial == 0, 0, drop_labels(full, prop, 0))
        np.testing.assert_array_equal(known, expected)


@pytest.mark.parametrize("prop", [0, -0.1, 1.0001, 10, float("nan")])
def test_proportions_out_of_range(prop):
    with pytest.raises(UserError, match=f"^prop: {re.escape(str(prop))} is out of ra"):
        drop_labels(np.ones((3, 2), np.int8), prop, 0)


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_seeds_out_of_range(seed):
    with pytest.raises(UserError, match=f"^seed: {seed} is out of range; give 0 to"):
        drop_labels(np.ones((3, 2), np.int8), 0.5, seed)


def test_command(oracles, repository, tmp_path):
    masks = np.load(oracles / "voc2007_known_label_masks.npz")
    classes = np.load(oracles / "voc2007_labels.npz")["classes"]
    images = tuple(f"{i}.jpg" for i in range(len(masks["full"])))
    Index("v", "train", tuple(classes), images, masks["full"]).save(tmp_path / "i.h5")
    out = tmp_path / "known/prop=0.5/seed=0.npy"
    arguments = ["drop", "--index", tmp_path / "i.h5", "--seed", 0, "--output", out]
    done = command(repository, *arguments, "--prop", 0.5)
    assert done.returncode == 0, done.stderr
    known = np.load(out)
    assert known.dtype == np.int8
    np.testing.assert_array_equal(known, masks["p0.5"])
    done = command(repository, *arguments, "--prop", 1.5)
    assert done.returncode == 1
    assert done.stderr == (
        "mlrpl drop: error: prop: 1.5 is out of range; give a proportion above 0 and "
        "at most 1\n"
    )
    np.testing.assert_array_equal(np.load(out), masks["p0.5"])
    arguments[2] = tmp_path / "absent.h5"
    done = command(repository, *arguments, "--prop", 0.5)
    assert done.returncode == 1
    assert done.stderr == (
        f"mlrpl drop: error: {tmp_path}/absent.h5: is not there; make it with the "
        "index command first\n"
    )
