"""The contrastive loss equals the public code's loops over pairs."""

import pytest
import torch

from mlrpl.methods.transfers.contrastive import ContrastiveLoss, rank
from support.public_weights import read
from support.recorded_draws import as_recorded


@pytest.mark.parametrize("case", ["no_pospos", "all_within_2p", "subsampled"])
def test_it_is_the_public_codes(oracles, case):
    data = read(oracles, "hcp_contrastive_loss")
    loss = ContrastiveLoss()
    names = ("negneg", "posneg")
    found = [data.get(f"{case}.randperm_{name}") for name in names]
    loss.draw = as_recorded([p.long() for p in found if p is not None])
    features = data[f"{case}.feature"].clone().requires_grad_()
    value = loss(features, data[f"{case}.targets"])
    torch.testing.assert_close(value, data[f"{case}.loss"])
    value.backward()
    expected = data[f"{case}.g.feature"]
    torch.testing.assert_close(features.grad, expected, rtol=1e-4, atol=1e-6)


def test_the_draws_are_random_and_repeat_by_their_seed():
    torch.manual_seed(0)
    features = torch.randn(12, 4, 6)
    labels = torch.full((12, 4), -1)
    labels[:2] = 1
    loss = ContrastiveLoss()
    values = [loss(features, labels) for _ in range(3)]
    torch.manual_seed(0)
    torch.randn(12, 4, 6)
    assert loss(features, labels) == values[0]
    assert len({float(value) for value in values}) == 3


@pytest.mark.parametrize("images", [1, 3])
def test_without_a_known_pair_it_is_zero(images):
    features = torch.randn(images, 2, 4, requires_grad=True)
    loss = ContrastiveLoss()(features, torch.zeros(images, 2))
    loss.backward()
    assert loss == 0 and not features.grad.any()


def test_a_single_pair_by_hand():
    features = torch.tensor([[[1.0, 0.0]], [[1.0, 1.0]]])
    cosine = 0.5**0.5
    for labels, expected in (
        ([[1], [1]], 1 - cosine),
        ([[1], [-1]], 1 + cosine),
        ([[-1], [-1]], 1 + cosine),
        ([[-1], [0]], 0),
    ):
        found = ContrastiveLoss()(features, torch.tensor(labels))
        assert float(found) == pytest.approx(expected)


def test_ranks_of_equal_keys_are_in_their_order():
    assert rank(torch.tensor([2.0, 1.0, 2.0, 0.0])).tolist() == [2, 1, 3, 0]
