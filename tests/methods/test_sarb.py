"""SARB: gradients of the shares, cases at the edge, the order of random draws."""

import pytest
import torch
from torch.func import functional_call

from mlrpl.methods.base import Batch, Step
from mlrpl.methods.inputs import Inputs
from mlrpl.methods.losses.p_asl import PartialAsymmetricLoss
from mlrpl.methods.losses.p_bce import PartialBCE
from mlrpl.methods.scores import sigmoid
from support.public_transfers import make_transfer

WIDTH = 3


class Steps:
    steps = 4


def started(classes, **options):
    """A transfer in its blending stage, in fp64, with prototypes at random."""
    inputs = Inputs(1, 1, torch.zeros(classes, 1), None, class_dim=WIDTH)
    transfer = make_transfer("sarb", inputs, transfer_epoch=0, **options).double()
    transfer.compute_prototypes = lambda training: None
    transfer.start_epoch(2, Steps())
    transfer.prototypes.centers.normal_()
    transfer.prototypes.filled.fill_(1)
    return transfer


def step_of(features, labels, loss, seen=None):
    """A step of class features whose logits depend on those of all classes."""
    classes = labels.shape[1]
    mixing = torch.linspace(-1, 1, classes**2).view(classes, classes).to(features)
    direction = torch.tensor([1.0, -0.5, 2.0]).to(features)

    def rescore(changed):
        own = torch.tanh(changed @ direction)
        return sigmoid(2 * own + own @ mixing)

    def watched(scores, targets):
        if seen is not None:
            seen.append((scores, targets))
        return loss(scores, targets)

    batch = Batch(features, labels, torch.arange(len(labels)))
    return Step(batch, features, None, rescore(features), rescore, watched, None)


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


@pytest.mark.parametrize("loss", [PartialBCE(), PartialAsymmetricLoss(detach=False)])
def test_gradients_of_features_and_shares_are_the_numerical_ones(loss):
    transfer = started(4)
    labels = torch.tensor([[1, 0, -1, 0], [0, 0, 1, 1], [0, 1, 0, -1]]).to(torch.int8)
    keys = torch.rand(3, 4)
    transfer.draw = lambda labels: keys
    transfer.draw_prototype = lambda filled: torch.tensor([1])
    transfer.contrast.draw = lambda members: torch.arange(len(members)).double()

    def compute(features, alpha, beta):
        # Copies, which the step clamps in place.
        shares = {"alpha": alpha.clone(), "beta": beta.clone()}
        return functional_call(transfer, shares, (step_of(features, labels, loss),))

    features = torch.randn(3, 4, WIDTH).double().requires_grad_()
    alpha, beta = (
        torch.tensor(share, dtype=torch.float64, requires_grad=True)
        for share in (0.6, 0.3)
    )
    assert torch.autograd.gradcheck(compute, (features, alpha, beta))


def test_with_all_labels_known_each_loss_is_that_of_the_labels():
    transfer = started(4, instance_weight=0.5, prototype_weight=2, contrast_weight=0)
    labels = (2 * torch.randint(0, 2, (5, 4)) - 1).to(torch.int8)
    step = step_of(torch.randn(5, 4, WIDTH).double(), labels, PartialBCE())
    expected = 3.5 * PartialBCE()(step.scores, labels)
    torch.testing.assert_close(transfer(step), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("labels", [[[0], [1]], [[0], [0]], [[0]], [[-1]]])
def test_a_single_class(labels):
    transfer = started(1, blend_start=0.25, prototypes=1)
    labels = torch.tensor(labels).to(torch.int8)
    features = torch.randn(len(labels), 1, WIDTH).double()
    seen = []
    step = step_of(features, labels, PartialBCE(), seen)
    transfer(step)
    own = features[0], 0.25 * features[0]
    centre = transfer.prototypes.centers[0]
    unknown, shown = labels[0] == 0, len(labels) == 2 and labels[1] == 1
    first = own[1] + 0.75 * features[-1] if unknown and shown else own[0]
    second = own[1] + 0.75 * centre[0] if unknown else own[0]
    for (scores, targets), changed, there in zip(
        seen[1:], (first, second), (unknown and shown, unknown), strict=True
    ):
        expected = step.rescore(changed[None]).ranking[0]
        torch.testing.assert_close(scores.ranking[0], expected, rtol=0, atol=1e-6)
        assert float(targets[0].detach()) == (0.75 if there else labels[0])


def test_draws_are_in_the_order_of_the_public_code():
    """The prototype, the classes, then the contrastive loss's."""
    transfer = started(6, prototypes=5)
    labels = torch.randint(-1, 2, (8, 6)).to(torch.int8)
    order = []

    def noted(name, draw):
        def drawn(*values):
            order.append(name)
            return draw(*values)

        return drawn

    transfer.draw_prototype = noted("prototype", transfer.draw_prototype)
    transfer.draw = noted("classes", transfer.draw)
    transfer.contrast.draw = noted("contrast", transfer.contrast.draw)
    features = torch.randn(8, 6, WIDTH).double()
    transfer(step_of(features, labels, PartialBCE()))
    assert order == ["prototype", "classes", "contrast", "contrast"]


def test_every_prototype_and_unknown_class_is_drawn_at_times():
    transfer = started(3, prototypes=4)
    labels = torch.tensor([[0, 1, 0]]).to(torch.int8)
    places = {
        int(transfer.draw_prototype(transfer.prototypes.filled)) for _ in range(99)
    }
    assert places == {0, 1, 2, 3}
    chosen = {tuple(transfer.chosen(labels)[0].tolist()) for _ in range(99)}
    assert chosen == {(True, False, False), (False, False, True)}


def test_a_class_with_fewer_prototypes_takes_them_in_turn():
    transfer = started(5, prototypes=4)
    numbers = [0, 1, 2, 3, 4]
    for c, number in enumerate(numbers):
        transfer.prototypes.filled[c, number:] = 0
    for drawn in range(4):
        transfer.draw_prototype = lambda filled, drawn=drawn: torch.tensor([drawn])
        found, there = transfer.prototypes_for(None)
        assert there.tolist() == [False, True, True, True, True]
        for c, number in enumerate(numbers[1:], start=1):
            expected = transfer.prototypes.centers[c, drawn % number]
            assert torch.equal(found[c], expected)
