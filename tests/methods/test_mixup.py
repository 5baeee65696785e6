"""PU-MLC's mixing equals its formula, written out image by image."""

import math

import numpy as np
import pytest
import torch

from mlrpl.methods.base import Batch, Step
from mlrpl.methods.inputs import Inputs
from mlrpl.methods.losses.pu_mlc import PositiveUnlabeled
from mlrpl.methods.scores import sigmoid
from mlrpl.methods.transfers.mixup import Mixup
from mlrpl.training.gradients import Gradients
from support import tiny
from support.public_weights import read
from support.trainings import make

WIDTH, CLASSES = 4, 3


def mixup(alpha=0.3, weight=1.0):
    inputs = Inputs(1, WIDTH, torch.zeros(CLASSES, 2), clip=None)
    return Mixup(inputs, mixup_alpha=alpha, mixup_weight=weight)


def nothing(scores, labels):
    return torch.zeros(())


def step_of(features, weights, labels, loss=nothing) -> Step:
    """A step of a linear classifier."""

    def score(found):
        return sigmoid(found @ weights)

    batch = Batch(features, labels, torch.arange(len(labels)))
    return Step(batch, features, None, score(features), None, loss, score)


def drawn(images: int):
    torch.manual_seed(2)
    features = torch.randn(images, WIDTH, dtype=torch.float64)
    weights = torch.randn(WIDTH, CLASSES, dtype=torch.float64)
    labels = torch.randint(-1, 2, (images, CLASSES), dtype=torch.int8)
    return features, weights, labels


def written_out(features, weights, labels, share, order):
    """The term, image by image and class by class."""
    images, half = len(labels), len(labels) // 2
    total = 0.0
    for number in range(half):
        one, two = int(order[number]), math.ceil(images / 2) + number
        mixture = share * features[one] + (1 - share) * features[two]
        for c in range(CLASSES):
            target = 0.0
            for image, part in ((one, share), (two, 1 - share)):
                p = torch.sigmoid(features[image] @ weights[:, c])
                target = target + part * (1.0 if labels[image, c] == 1 else p)
            score = torch.sigmoid(mixture @ weights[:, c])
            gap = torch.log(target + 1e-10) - torch.log(score + 1e-10)
            total = total + gap**2
    return total / half


@pytest.mark.parametrize("images", [2, 6, 7])
def test_values_and_gradients_are_the_formulas(images):
    features, weights, labels = drawn(images)
    order = torch.randperm(images // 2)
    gradients = []
    for made in (True, False):
        w = weights.clone().requires_grad_()
        if made:
            transfer = mixup(weight=2.0)
            transfer.draw_share = lambda _: torch.tensor(0.3, dtype=torch.float64)
            transfer.draw_order = lambda *_: order
            value = transfer(step_of(features, w, labels))
        else:
            value = 2 * written_out(features, w, labels, 0.3, order)
        value.backward()
        gradients.append((value.detach(), w.grad))
    torch.testing.assert_close(*gradients)


def test_it_stands_beside_the_labels_loss(oracles):
    """That of public code, which has the term's weight 1."""
    data = read(oracles, "pu_mlc_loss")
    loss = PositiveUnlabeled(pu_spread=1, pu_gamma=0.55, pu_negatives="discarded")
    logits = data["logits"].clone().requires_grad_()
    labels = data["y_1pos_m1neg_0unknown"].to(torch.int8)
    eye = torch.eye(logits.shape[1])
    total = mixup(weight=0.0)(step_of(logits, eye, labels, loss))
    torch.testing.assert_close(total, data["coco.loss"], rtol=1e-4, atol=1e-4)
    more = mixup(weight=1.0)(step_of(logits, eye, labels, loss))
    assert more > total


@pytest.mark.parametrize("alpha", [0.3, 2.0])
def test_the_share_is_of_the_beta_distribution(alpha):
    torch.manual_seed(0)
    transfer, device = mixup(alpha), torch.device("cpu")
    shares = np.array([float(transfer.draw_share(device)) for _ in range(4000)])
    assert shares.mean() == pytest.approx(0.5, abs=0.03)
    assert shares.var() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.1)


def test_the_order_is_a_permutation():
    found = mixup().draw_order(50, torch.device("cpu"))
    assert sorted(found.tolist()) == list(range(50))
    assert found.tolist() != list(range(50))


def test_one_image_has_nothing_to_be_mixed_with():
    features, weights, labels = drawn(1)
    assert mixup()(step_of(features, weights, labels)) == 0


@pytest.mark.parametrize(
    "head",
    [{"head": "linear"}, {"visual": "semantic_decoupling"}, {"head": "dualcoop"}],
    ids=str,
)
def test_it_trains_on_any_head(tmp_path, head):
    files = tiny.write_files(tmp_path)
    method, training, _, _ = make(files, **head, loss="pu_mlc", transfer="mixup")
    for batch in training.batches(16):
        assert torch.isfinite(Gradients(method)(batch))
