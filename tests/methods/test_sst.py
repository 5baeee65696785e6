"""SST equals its public code: pairs, memory, pseudo labels, losses, gradients.

At the end what it shares with HST: the least of batches, numerical gradients.
"""

import math

import pytest
import torch
from torch.nn.functional import softplus

from mlrpl.methods.base import Batch, Step
from mlrpl.methods.inputs import Inputs
from mlrpl.methods.losses.p_bce import PartialBCE
from mlrpl.methods.scores import sigmoid
from mlrpl.methods.transfers import pair_transfer, sst
from mlrpl.methods.transfers.memory import Memory
from mlrpl.methods.transfers.pair_network import (
    PairNetwork,
    asymmetric,
    pair_loss,
    presence,
)
from support.public_transfers import (
    batch_of,
    gradient_names,
    make_method,
    make_transfer,
)
from support.public_weights import as_map, check_gradients, read
from support.recorded_draws import permutations

NAMES = gradient_names("sst")


def close(found, expected):
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def packed(matrix):
    """Numbers of pairs in the order of the public code."""
    first, second = torch.triu_indices(*2 * (matrix.shape[-1],), 1)
    return matrix[..., first, second]


def dense(pairs, classes):
    matrix = pairs.new_zeros(len(pairs), classes, classes)
    first, second = torch.triu_indices(classes, classes, 1)
    matrix[:, first, second] = pairs
    return matrix


@pytest.fixture
def weights(oracles):
    return read(oracles, "sst_forward_weights_data")


def test_the_forward_pass_is_the_public_codes(weights):
    method = make_method(weights, "sst").eval()
    x = as_map(weights["x0"])
    features = method.head.class_features(x)
    close(features, weights["semantic_eval_x0"])
    close(method.score_images(x), weights["logits_eval_x0"])
    pairs = method.transfer.pairs(features)
    close(packed(pairs), weights["pair_logits_eval_x0"])
    assert not pairs.tril().any()


def test_pseudo_labels_and_memory_are_the_public_codes(oracles):
    data = read(oracles, "sst_pseudo_labels")
    memory = Memory(5, 4, 8)
    for batch in ("b0", "b1", "b2"):
        features, labels = data[f"{batch}.semantic"], data[f"{batch}.y"]
        memory.update(features, labels)
        close(memory.features, data[f"{batch}.memory_after_update"])
        within = presence(dense(data[f"{batch}.pair_logits"], 5), labels)
        across = memory.similarity(features)
        for name in (n for n in data if n.startswith(f"{batch}.int")):
            margin = float(name.rpartition("_m")[2])
            found = within if ".intra" in name else across
            pseudo = sst.with_positives(labels, found >= margin)
            assert torch.equal(pseudo, data[name]), name
    labels = data["sharp.y"]
    within = presence(dense(data["sharp.pair_logits"], 5), labels)
    for margin in (0.75, 0.95):
        pseudo = sst.with_positives(labels, within >= margin)
        assert torch.equal(pseudo, data[f"sharp.intra_m{margin}"])


@pytest.mark.parametrize("epoch", [0, 3, 5])
def test_an_epoch_of_training_is_the_public_codes(oracles, weights, epoch):
    """Three batches with frozen weights: losses, gradients, memory."""
    data = read(oracles, f"sst_train_epoch{epoch}")
    rows = check_epoch(weights, data, epoch)
    assert rows == 3


class Steps:
    def __init__(self, steps):
        self.steps = steps


def check_epoch(weights, data, epoch, **options):
    method = make_method(weights, "sst", permutations(data), **options)
    transfer = method.transfer
    transfer.start_epoch(epoch + 1, Steps(3))
    # The oracle has the two margins apart.
    transfer.pseudo_labels = lambda pairs, features, labels: (
        sst.with_positives(labels, presence(pairs, labels) >= 0.5),
        sst.with_positives(labels, transfer.memory.similarity(features) >= 0.05),
    )
    losses = data["losses_total_1bce_2intra_3pair_4inter_5con"]
    for number, expected in enumerate(losses):
        method.zero_grad()
        batch = batch_of(weights[f"x{number}"], weights[f"y{number}"])
        loss = method.loss(batch)
        close(loss, expected[0])
        loss.backward()
        check_gradients(method, data, NAMES, f"b{number}.g.")
        transfer.after_step()
    close(transfer.memory.features, data["memory_after"])
    return len(losses)


def test_the_margin_falls_after_each_epoch_with_pseudo_labels(weights):
    transfer = make_method(weights, "sst").transfer
    found = []
    for epoch in range(1, 17):
        transfer.start_epoch(epoch, Steps(3))
        found.append((round(float(transfer.margin), 4), transfer.started))
    assert found[:6] == [(0.95, False)] * 5 + [(0.95, True)]
    assert [margin for margin, _ in found[6:9]] == [0.925, 0.9, 0.875]
    assert [margin for margin, _ in found[12:]] == [0.775, 0.75, 0.75, 0.75]


def test_the_weight_of_what_is_learned_grows_in_the_first_epoch(weights):
    transfer = make_method(weights, "sst").transfer
    transfer.start_epoch(1, Steps(4))
    found = []
    for _ in range(4):
        found.append(float(transfer.ramp))
        transfer.after_step()
    assert found == [0, 0.25, 0.5, 0.75]
    transfer.start_epoch(2, Steps(4))
    transfer.after_step()
    assert transfer.ramp == 1


def test_only_filled_places_can_count():
    torch.manual_seed(0)
    whole, filled = Memory(3, 4, 5), Memory(3, 4, 5, "filled")
    features = torch.randn(6, 3, 5)
    labels = torch.zeros(6, 3)
    labels[:2, 0], labels[:, 1] = 1, 1  # two of class 0, six of class 1, none of 2
    for memory in (whole, filled):
        memory.update(features, labels)
    close(filled.similarity(features)[:, 0], 2 * whole.similarity(features)[:, 0])
    close(filled.similarity(features)[:, 1], whole.similarity(features)[:, 1])
    assert not filled.similarity(features)[:, 2].any()
    # Of more than there is room for, those that stand first in the batch.
    close(whole.features[1], features[:4, 1])
    close(whole.features[0, :2], features[:2, 0])


def test_a_similarity_at_the_margin_is_enough(weights):
    transfer = make_method(weights, "sst").transfer
    transfer.margin.fill_(0.5)
    labels = torch.tensor([[1, 0, 0, 0, -1]])
    logits = torch.zeros(1, 5, 5)
    logits[0, 0, 2] = -1e-3
    logits[0, 0, 3] = 1e-3
    features = torch.zeros(1, 5, 8)
    within, across = transfer.pseudo_labels(logits, features, labels)
    assert within.tolist() == [[1, 1, 0, 1, -1]]
    assert torch.equal(across, labels)
    transfer.margin.fill_(0)  # what has no direction is as like as it is unlike
    _, across = transfer.pseudo_labels(logits, features, labels)
    assert across.tolist() == [[1, 1, 1, 1, -1]]


def known_pairs_alone(logits, labels):
    present, known = labels == 1, labels != 0
    loss = asymmetric(logits, present[:, :, None] & present[:, None, :])
    both = (known[:, :, None] & known[:, None, :]).float().triu(1)
    return (loss * both).sum() / both.sum()


def oldest_first(memory, features, labels):
    Memory.update(memory, features, labels)
    memory.features.copy_(memory.features.flip(1))


def wrong(monkeypatch, mutation):
    if mutation == "pairs with an unknown label left out":
        monkeypatch.setattr(pair_transfer, "pair_loss", known_pairs_alone)
    elif mutation == "a memory with the newest last":

        class Reversed(Memory):
            update = oldest_first

        monkeypatch.setattr(sst, "Memory", Reversed)
    elif mutation == "the memory updated after the pseudo labels":

        class Late(Memory):
            def update(self, features, labels):
                self.waiting = features, labels

            def similarity(self, features):
                found = Memory.similarity(self, features)
                Memory.update(self, *self.waiting)
                return found

        monkeypatch.setattr(sst, "Memory", Late)
    else:
        monkeypatch.setattr(
            sst, "with_positives", lambda y, chosen: ((y == 0) & chosen).to(y.dtype)
        )


@pytest.mark.parametrize(
    "mutation",
    [
        "pairs with an unknown label left out",
        "a memory with the newest last",
        "the memory updated after the pseudo labels",
        "pseudo labels without the known ones",
    ],
)
def test_the_oracle_catches(oracles, weights, monkeypatch, mutation):
    wrong(monkeypatch, mutation)
    with pytest.raises(AssertionError):
        check_epoch(weights, read(oracles, "sst_train_epoch5"), 5)


def test_one_class_has_no_pairs_and_nothing_is_lost():
    network = PairNetwork(1, 4, 3, 5)
    features = torch.randn(2, 1, 4, requires_grad=True)
    labels = torch.tensor([[1], [0]])
    logits = network(features)
    assert logits.shape == (2, 1, 1) and not logits.any()
    loss = pair_loss(logits, labels)
    loss.backward()
    assert loss == 0
    assert presence(logits, labels).tolist() == [[1], [0]]
    assert network.classifier.weight.shape == (0, 5)


def step_of(features, labels):
    """A step whose class features and scores are given, without a head."""
    weight = torch.linspace(-1, 1, features.shape[2], dtype=features.dtype)
    batch = Batch(None, labels.to(torch.int8), torch.arange(len(labels)))
    scores = sigmoid(features @ weight)
    return Step(batch, features, None, scores, None, PartialBCE(), None)


def alone(kind, classes, **options):
    """A transfer that has set in, its memory or prototypes empty."""
    torch.manual_seed(0)
    vectors, known = torch.randn(classes, 4), torch.ones(2, classes)
    inputs = Inputs(6, 3, vectors, None, known, (2, 2), class_dim=8)
    transfer = make_transfer(kind, inputs, **options)
    if kind == "hst":
        transfer.prototypes.compute = lambda training: None
    transfer.start_epoch(9, Steps(3))
    return transfer


@pytest.mark.parametrize("kind", ["sst", "hst"])
@pytest.mark.parametrize("label", [1, -1, 0])
def test_one_class_in_one_image_by_hand(kind, label):
    """No pairs of classes or images; HST has no prototype, its margins are 1."""
    features = torch.randn(1, 1, 8, requires_grad=True)
    step = step_of(features, torch.tensor([[label]]))
    loss = alone(kind, 1)(step)
    logit = features.detach()[0, 0] @ torch.linspace(-1, 1, 8)
    expected = 3 * softplus(-label * logit) * abs(label)
    if kind == "hst":
        expected = expected + 0.05 + 2 * 0.1 * math.log(2) * abs(label)
    close(loss, expected)
    loss.backward()
    assert torch.isfinite(features.grad).all()
    assert bool(features.grad.any()) == (label != 0)


@pytest.mark.parametrize("kind", ["sst", "hst"])
@pytest.mark.parametrize("images", [1, 3])
def test_numerical_gradients_of_a_step(kind, images):
    options = {"margin_start": 0.2} if kind == "hst" else {}
    transfer = alone(kind, 3, pair_dim=2, pair_hidden=3, **options).double()
    transfer.contrast.draw = lambda members: torch.zeros(len(members))
    if kind == "hst":
        centers = transfer.prototypes.centers
        centers.copy_(torch.randn_like(centers))
        transfer.prototypes.filled.fill_(1)
    labels = torch.tensor([[1, 0, 1], [0, 1, -1], [-1, 1, 0]])[:images]
    features = torch.randn(images, 3, 8, dtype=torch.float64, requires_grad=True)
    parameters = list(transfer.parameters())

    def loss(features, *_):
        return transfer(step_of(features, labels))

    assert torch.autograd.gradcheck(loss, (features, *parameters))
