"""k-means of all classes at once, against the public code and scikit-learn."""

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans

from mlrpl.errors import UserError
from mlrpl.methods.base import Batch, Located
from mlrpl.methods.transfers import prototypes
from mlrpl.methods.transfers.prototypes import KMeansPrototypes, first_of_largest
from support.public_weights import read


class Images:
    """Training images whose class features are given."""

    steps = 1

    def __init__(self, features, labels):
        self.features, self.labels = features, labels

    def located(self, size):
        for rows in torch.arange(len(self.labels)).split(size):
            batch = Batch(None, self.labels[rows], rows)
            yield batch, Located(self.features[rows], None)


def computed(features, labels, number, few="fewer", seed=0):
    torch.manual_seed(seed)
    names = [f"class {c}" for c in range(labels.shape[1])]
    module = KMeansPrototypes(names, number, features.shape[2], few)
    module.compute(Images(features, labels))
    return module


def test_the_centres_are_the_public_codes(oracles):
    """Well separated clusters, which every start finds."""
    data = read(oracles, "sarb_hst_prototypes")
    features, labels = data["semantic_eval"], data["y"]
    expected = data["prototypes_sorted"]
    found = computed(features, labels, 3)
    assert found.filled.all()
    for ours, theirs in zip(found.centers.numpy(), expected.numpy(), strict=True):
        order = np.lexsort(ours.T[::-1])
        np.testing.assert_allclose(ours[order], theirs, atol=1e-5)


@pytest.mark.parametrize("chunk", [7, 4096])
def test_it_is_as_good_as_scikit_learns(monkeypatch, chunk):
    monkeypatch.setattr(prototypes, "VECTORS", chunk)
    torch.manual_seed(0)
    features = torch.randn(150, 4, 6)
    labels = torch.randint(-1, 2, (150, 4))
    found = computed(features, labels, 5)
    for c in range(4):
        mine = features[labels[:, c] == 1, c]
        away = torch.cdist(mine, found.centers[c]).square()
        inertia = float(away.min(dim=1).values.sum())
        theirs = KMeans(5, n_init=10, random_state=0).fit(mine.numpy()).inertia_
        single = KMeans(5, n_init=1, random_state=0).fit(mine.numpy()).inertia_
        assert inertia < 1.15 * theirs and inertia < 1.1 * single
        # A centre is the mean of what is nearest to it.
        nearest = away.argmin(dim=1)
        for k in range(5):
            mean = mine[nearest == k].mean(0)
            torch.testing.assert_close(found.centers[c, k], mean, rtol=0, atol=1e-5)


def test_the_same_seed_gives_the_same_bits():
    torch.manual_seed(0)
    features, labels = torch.randn(80, 3, 4), torch.randint(-1, 2, (80, 3))
    first, again = (computed(features, labels, 4, seed=5) for _ in range(2))
    assert torch.equal(first.centers, again.centers)
    other = computed(features, labels, 4, seed=6)
    assert not torch.equal(first.centers, other.centers)


def test_few_positives_make_fewer_prototypes():
    torch.manual_seed(0)
    features = torch.randn(6, 3, 4)
    labels = torch.full((6, 3), -1)
    labels[:2, 0] = 1
    labels[:, 1] = 1
    found = computed(features, labels, 4)
    assert found.filled.sum(dim=1).tolist() == [2, 4, 0]
    mine = found.centers[0, :2]
    order = mine[:, 0].argsort()
    expected = features[:2, 0][features[:2, 0, 0].argsort()]
    torch.testing.assert_close(mine[order], expected)
    assert not found.centers[2].any()
    cosine = torch.nn.functional.cosine_similarity
    queries = torch.randn(5, 3, 4)
    mean = torch.stack([cosine(queries[:, 0], v[None]) for v in features[:2, 0]]).mean(
        0
    )
    similarity = found.mean_cosine(queries)
    torch.testing.assert_close(similarity[:, 0], mean)
    assert not similarity[:, 2].any()


def test_few_positives_can_stop_the_training_in_one_line():
    features, labels = torch.randn(6, 2, 4), torch.ones(6, 2)
    labels[2:, 1] = 0
    with pytest.raises(UserError, match="class 1 has 2 known positives, too few for 4"):
        computed(features, labels, 4, "stop")
    assert computed(features, torch.ones(6, 2), 4, "stop").filled.all()


def test_equal_vectors_and_no_positives_at_all():
    features = torch.ones(5, 2, 3)
    found = computed(features, torch.ones(5, 2), 3)
    torch.testing.assert_close(found.centers, torch.ones(2, 3, 3))
    assert not computed(features, torch.zeros(5, 2), 3).filled.any()


def test_the_first_row_of_the_largest_key():
    keys = torch.tensor([1.0, 3.0, 3.0, -torch.inf, 0.0])
    owners = torch.tensor([0, 0, 0, 2, 3])
    assert first_of_largest(keys, owners, 4).tolist() == [1, 0, 3, 4]
