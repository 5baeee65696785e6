"""Graphs of the classes from whole data sets' labels equal published ones."""

import numpy as np
import pytest
import torch

from mlrpl.methods.cooccurrence import conditional, counts
from mlrpl.methods.heads.gcn import adjacency


@pytest.fixture(scope="module")
def coco(oracles):
    with np.load(oracles / "coco2014_train_labels.npz", allow_pickle=False) as data:
        return torch.from_numpy(data["labels"].astype(np.int8)), data["classes"]


def test_ssgrls_graph_of_coco_is_the_published_one(oracles, coco):
    expected = np.load(oracles / "ssgrl_coco_conditional_80x80.npy")
    found = conditional(coco[0])
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-7)
    # Row i is what i's presence says of the others: not the other way round.
    assert np.abs(found.numpy().T - expected).max() > 0.9


def published(oracles, name, coco):
    """Labels, and the counts that ML-GCN publishes for them."""
    if name == "voc":
        file = "mlgcn_voc_cooccurrence"
        labels = np.load(oracles / "voc2007_labels.npz")["trainval"]
        labels = torch.from_numpy(labels.astype(np.int8))
    else:
        file = "mlgcn_coco_cooccurrence_alphabetical"
        labels = coco[0][:, np.argsort(coco[1])]
    with np.load(oracles / f"{file}.npz", allow_pickle=False) as data:
        return labels, data["adj"], data["nums"]


@pytest.mark.parametrize("name", ["voc", "coco"])
def test_the_counts_are_those_that_ml_gcn_publishes(oracles, coco, name):
    labels, pairs, single = published(oracles, name, coco)
    np.testing.assert_array_equal(counts(labels), pairs + np.diag(single))


@pytest.mark.parametrize("threshold", [0.0, 0.1, 0.4])
@pytest.mark.parametrize("name", ["voc", "coco"])
def test_the_adjacency_is_that_of_its_formula_on_them(oracles, coco, name, threshold):
    labels, pairs, single = published(oracles, name, coco)
    found = adjacency(counts(labels), threshold, 0.25)
    # In double precision, entry by entry.
    size = len(single)
    joined = np.zeros((size, size))
    for i in range(size):
        for j in range(size):
            joined[i, j] = i != j and pairs[i, j] / single[i] >= threshold
    a = np.eye(size)
    for j in range(size):
        a[:, j] += 0.25 * joined[:, j] / (joined[:, j].sum() + 1e-6)
    scale = np.array([1 / np.sqrt(row.sum()) for row in a])
    expected = np.array(
        [[a[j, i] * scale[i] * scale[j] for j in range(size)] for i in range(size)]
    )
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_a_probability_at_the_threshold_joins():
    known = torch.zeros(5, 3, dtype=torch.int8)
    known[:, 0] = 1
    known[:2, 1] = 1  # P(1 | 0) = 0.4
    known[:1, 2] = 1  # P(2 | 0) = 0.2, P(2 | 1) = 0.5
    # A transposed: entry (1, 0) is what class 0 says of class 1.
    found = adjacency(counts(known), 0.4, 0.25) != 0
    expected = [[1, 1, 1], [1, 1, 1], [0, 1, 1]]
    assert found.int().tolist() == expected


def test_the_graphs_have_shapes_without_numbers():
    known = torch.empty(60, 4, dtype=torch.int8, device="meta")
    for unseen in ("alone", "nan"):
        assert conditional(known, unseen).shape == (4, 4)
    assert adjacency(counts(known), 0.4, 0.25).device.type == "meta"
