"""The pair network against three layers on concatenated pairs; its loss."""

import itertools

import pytest
import torch

from mlrpl.methods.transfers import pair_network
from mlrpl.methods.transfers.pair_network import PairNetwork, asymmetric, pair_loss
from support.public_weights import read


def literal(network, features):
    """Every pair concatenated, three layers, a classifier each: as it is written."""
    reduced = network.reduction(features)
    columns = []
    pairs = itertools.combinations(range(features.shape[1]), 2)
    for number, (i, j) in enumerate(pairs):
        both = torch.cat((reduced[:, i], reduced[:, j]), dim=-1)
        hidden = network.second(torch.relu(network.first(both)))
        own = network.classifier
        columns.append(hidden @ own.weight[number] + own.bias[number])
    return torch.stack(columns, dim=1)


@pytest.fixture
def network():
    torch.manual_seed(0)
    return PairNetwork(7, 6, 4, 5).double()


@pytest.mark.parametrize("limit", [1, 40, 10**6])
def test_it_is_the_literal_network_with_its_gradients(network, monkeypatch, limit):
    monkeypatch.setattr(pair_network, "CHUNK_CPU", limit)
    features = torch.randn(3, 7, 6, dtype=torch.float64, requires_grad=True)
    inputs = [features, *network.parameters()]
    expected = literal(network, features)
    weight = torch.randn_like(expected)
    wanted = torch.autograd.grad((expected * weight).sum(), inputs)
    first, second = torch.triu_indices(7, 7, 1)
    found = network(features)
    assert not found.tril().any()
    torch.testing.assert_close(found[:, first, second], expected)
    given = torch.autograd.grad((found[:, first, second] * weight).sum(), inputs)
    for ours, theirs in zip(given, wanted, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_numerical_gradients(network):
    torch.manual_seed(1)
    a, c = (torch.randn(2, 4, 3, dtype=torch.float64) for _ in range(2))
    q = torch.randn(4, 4, 3, dtype=torch.float64).permute(2, 0, 1).triu(1)
    q = q.permute(1, 2, 0).contiguous()
    inputs = [x.requires_grad_() for x in (a, c)]
    products = pair_network._PairProducts.apply
    assert torch.autograd.gradcheck(lambda a, c: products(a, c, q), inputs)
    mask = torch.ones(4, 4, dtype=torch.float64).triu(1)[..., None]
    q.requires_grad_()
    assert torch.autograd.gradcheck(lambda q: products(a, c, q * mask), [q])


def test_nothing_of_all_pairs_is_kept_for_the_backward_pass():
    torch.manual_seed(0)
    classes, hidden, images = 20, 16, 8
    network = PairNetwork(classes, 6, 4, hidden)
    kept = []

    def keep(tensor):
        kept.append(tensor.numel())
        return tensor

    features = torch.randn(images, classes, 6, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        network(features).sum()
    assert max(kept) <= max(classes**2 * hidden, images * classes * hidden)
    assert max(kept) < images * classes * (classes - 1) // 2 * hidden


def test_the_loss_of_pairs_is_the_public_codes(oracles):
    data = read(oracles, "sst_pair_loss")
    logits = torch.zeros(4, 6, 6)
    places = data["pair_i"].long(), data["pair_j"].long()
    logits[:, places[0], places[1]] = data["pair_logits"]
    logits.requires_grad_()
    loss = pair_loss(logits, data["targets"])
    torch.testing.assert_close(loss, data["loss"])
    loss.backward()
    found = logits.grad[:, places[0], places[1]]
    torch.testing.assert_close(found, data["g.pair_logits"])
    assert not logits.grad.tril().any()


@pytest.mark.parametrize(("negative", "positive"), [(4, 1), (2, 1)])
def test_the_asymmetric_loss_is_the_public_codes(oracles, negative, positive):
    """A mean over everything, to which an unknown label adds nothing."""
    data = read(oracles, "hcp_asymmetric_loss")
    logits = data["logits"].clone().requires_grad_()
    labels = data["targets"]
    loss = asymmetric(logits, labels == 1, negative, positive)
    loss = (loss * (labels != 0)).mean()
    name = f"gn{negative}_gp{positive}"
    torch.testing.assert_close(loss, data[f"loss_{name}"])
    loss.backward()
    torch.testing.assert_close(logits.grad, data[f"g.logits_{name}"])
