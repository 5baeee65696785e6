"""Dropped labels equal the field's published masks, and are nested."""

import re

import numpy as np
import pytest

from mlrpl.data import row_blocks
from mlrpl.data.index import Index
from mlrpl.data.masks import SCHEMES, drop_labels, scheme, single_positive
from mlrpl.errors import UserError
from support.data_files import command

PROPORTIONS = [round(0.1 * k, 1) for k in range(1, 10)]


@pytest.mark.parametrize("prop", [0.1, 0.5, 0.9])
def test_seed_0_gives_the_published_voc_masks(prop, oracles):
    masks = np.load(oracles / "voc2007_known_label_masks.npz")
    known = drop_labels(masks["full"], prop, 0)
    assert known.dtype == np.int8
    np.testing.assert_array_equal(known, masks[f"p{prop}"])


@pytest.mark.parametrize("prop", [0.1, 0.3, 0.5, 0.9])
def test_labels_are_dropped_as_by_the_public_code(prop, oracles):
    with np.load(oracles / "methods/hcp_label_drop.npz") as data:
        full = data["labels_full"].astype(np.int8)
        np.testing.assert_array_equal(
            drop_labels(full, prop, 0), data[f"changed_p{prop}"]
        )


@pytest.mark.parametrize("cells", [1, 90, 10**7])
def test_a_matrix_in_blocks_has_the_same_draws(cells, oracles, monkeypatch):
    monkeypatch.setattr(row_blocks, "CELLS", cells)
    masks = np.load(oracles / "voc2007_known_label_masks.npz")
    full = masks["full"][:300]
    known = drop_labels(full, 0.5, 0)
    np.testing.assert_array_equal(known, masks["p0.5"][:300])
    counts = row_blocks.label_counts(known)
    values, found = np.unique(known, return_counts=True)
    assert values.tolist() == [-1, 0, 1]
    assert list(counts.values()) == [found[2], found[0], found[1]]


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


def drawn(images=400, classes=6, seed=0):
    random = np.random.default_rng(seed)
    rare = np.linspace(0.01, 0.6, classes)
    labels = np.where(random.random((images, classes)) < rare, 1, -1)
    labels[random.random(labels.shape) < 0.05] = 0  # unknown from the start
    return labels.astype(np.int8)


@pytest.mark.parametrize("name", SCHEMES)
def test_every_scheme_keeps_labels_and_makes_none(name):
    labels = drawn()
    known = scheme(name)(labels, 1, 3)
    assert known.dtype == np.int8
    assert ((known == labels) | (known == 0)).all() and (known != 0).any()
    np.testing.assert_array_equal(known, scheme(name)(labels, 1, 3))
    assert (known != scheme(name)(labels, 1, 4)).any() or name in (
        *("uniform", "fixed_per_class", "positives_only"),  # all that there is
    )


@pytest.mark.parametrize("name", ["fixed_per_class", "positives_only"])
def test_schemes_with_a_proportion_are_nested_and_differ_by_seed(name):
    labels = drawn()
    smaller = np.zeros_like(labels)
    for prop in PROPORTIONS:
        known = scheme(name)(labels, prop, 0)
        assert (known[smaller != 0] == smaller[smaller != 0]).all()
        assert (known != scheme(name)(labels, prop, 1)).any()
        smaller = known


def test_positives_only_are_those_of_the_uniform_masks():
    labels = drawn()
    known = scheme("positives_only")(labels, 0.3, 5)
    uniform = drop_labels(labels, 0.3, 5)
    np.testing.assert_array_equal(known, np.where(uniform > 0, uniform, 0))


@pytest.mark.parametrize("prop", [0.1, 0.5])
def test_fixed_per_class_has_the_share_of_each_class(prop):
    labels = drawn()
    known = scheme("fixed_per_class")(labels, prop, 0)
    for value in (1, -1):
        there = (labels == value).sum(axis=0)
        expected = np.maximum(np.round(prop * there), 1)
        np.testing.assert_array_equal((known == value).sum(axis=0), expected)


def test_a_class_without_positives_has_none_in_any_scheme():
    labels = drawn()
    labels[:, 2] = -1
    for name in SCHEMES:
        assert not (scheme(name)(labels, 1, 0)[:, 2] > 0).any()


def test_single_positives_are_the_published_draws():
    """`RandomState(1200)` shuffles an image's positives, then its negatives."""
    labels = drawn()
    labels[7] = -1
    for seed in (0, 2):
        random = np.random.RandomState(1200 + seed)
        expected = np.zeros_like(labels)
        for n, row in enumerate(labels):
            positives = [c for c in range(6) if row[c] == 1]
            random.shuffle(positives)
            random.shuffle([c for c in range(6) if row[c] == -1])
            if positives:
                expected[n, positives[0]] = 1
        np.testing.assert_array_equal(single_positive(labels, 1.0, seed), expected)
        assert (expected.sum(axis=1) == (labels == 1).any(axis=1)).all()


def test_mistakes_of_a_scheme_are_one_line():
    for name, prop, words in (
        ("single_positive", 0.5, "prop: 0.5 means nothing to the masks single_posi"),
        ("fixed_per_class", 0, "prop: 0 is out of range"),
    ):
        with pytest.raises(UserError, match=f"^{words}"):
            scheme(name)(drawn(), prop, 0)
    with pytest.raises(UserError, match=r"^masks: singel is not known"):
        scheme("singel")
    with pytest.raises(UserError, match=f"give 0 to {2**32 - 1201}"):
        single_positive(drawn(), 1, 2**32 - 1200)


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
