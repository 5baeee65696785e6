"""The losses against their formulas, written label by label in float64."""

import itertools
import math

import numpy as np
import pytest
import torch

from mlrpl.methods.losses.p_asl import PartialAsymmetricLoss
from mlrpl.methods.losses.p_bce import PartialBCE
from mlrpl.methods.scores import sigmoid, softmax


def example():
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(6, 5, generator=generator)
    labels = torch.randint(-1, 2, (6, 5), generator=generator)
    labels[0] = 0  # an image without a known label
    return logits, labels.to(torch.int8)


def probabilities(logits, score):
    if score == "sigmoid":
        return [[1 / (1 + math.exp(-x)) for x in row] for row in logits.tolist()]
    rows = []
    for row in logits.double().tolist():
        total = sum(math.exp(x) for x in row)
        rows.append([math.exp(x) / total for x in row])
    return rows


@pytest.mark.parametrize("score", ["sigmoid", "softmax"])
@pytest.mark.parametrize(
    ("gamma_pos", "gamma_neg", "margin"),
    [(1, 2, 0.05), (0, 0, 0), (0, 4, 0.2), (2.5, 3, 0)],
)
def test_p_asl_is_equations_10_and_11(score, gamma_pos, gamma_neg, margin):
    logits, labels = example()
    total = 0.0
    p = probabilities(logits, score)
    for n, c in itertools.product(range(6), range(5)):
        if labels[n, c] == 1:
            total += (1 - p[n][c]) ** gamma_pos * math.log(p[n][c])
        if labels[n, c] == -1:
            q = max(p[n][c] - margin, 0)
            total += q**gamma_neg * math.log(1 - q)
    loss = PartialAsymmetricLoss(
        gamma_pos=gamma_pos, gamma_neg=gamma_neg, margin=margin
    )
    scores = {"sigmoid": sigmoid, "softmax": softmax}[score](logits)
    assert float(loss(scores, labels)) == pytest.approx(-total / 6, rel=1e-5)


def reference_gradient(logit, label, detach, gamma_pos=1, gamma_neg=2, margin=0.05):
    """d loss / d logit of one label, by hand."""
    p = 1 / (1 + math.exp(-logit))
    slope = p * (1 - p)
    if label == 1:
        focal = (1 - p) ** gamma_pos
        gradient = focal / p * slope
        if not detach:
            gradient -= gamma_pos * (1 - p) ** (gamma_pos - 1) * slope * math.log(p)
        return -gradient
    q = max(p - margin, 0)
    if q == 0:
        return 0.0
    gradient = -(q**gamma_neg) / (1 - q) * slope
    if not detach:
        gradient += gamma_neg * q ** (gamma_neg - 1) * slope * math.log(1 - q)
    return -gradient


@pytest.mark.parametrize("detach", [True, False])
@pytest.mark.parametrize("label", [1, -1])
@pytest.mark.parametrize("logit", [-4.0, -0.3, 0.0, 2.0])
def test_p_asl_gradient_with_and_without_the_focal_weight(detach, label, logit):
    x = torch.tensor([[logit]], dtype=torch.double, requires_grad=True)
    loss = PartialAsymmetricLoss(detach=detach)
    loss(sigmoid(x), torch.tensor([[label]])).backward()
    expected = reference_gradient(logit, label, detach)
    assert float(x.grad) == pytest.approx(expected, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("detach", [True, False])
@pytest.mark.parametrize("gammas", [(1, 2), (0, 0), (0.5, 0.5)])
@pytest.mark.parametrize("score", [sigmoid, softmax])
def test_p_asl_stays_finite_at_a_scale_of_100(detach, gammas, score):
    x = torch.tensor([[100.0, -100.0, 100.0, -100.0, 30.0]], requires_grad=True)
    labels = torch.tensor([[1, 1, -1, -1, 0]])
    value = PartialAsymmetricLoss(
        gamma_pos=gammas[0], gamma_neg=gammas[1], detach=detach
    )(score(x), labels)
    value.backward()
    assert torch.isfinite(value)
    assert torch.isfinite(x.grad).all()


@pytest.mark.parametrize("loss", [PartialAsymmetricLoss(), PartialBCE()])
def test_unknown_labels_have_no_gradient(loss):
    logits, labels = example()
    x = logits.clone().requires_grad_()
    loss(sigmoid(x), labels).backward()
    assert (x.grad[labels == 0] == 0).all()
    assert (x.grad[labels == 1] < 0).all()
    nothing = loss(sigmoid(x), torch.zeros_like(labels))
    assert nothing.item() == 0


def test_p_bce_is_the_mean_over_the_known_labels():
    logits, labels = example()
    known = labels != 0
    expected = torch.nn.functional.binary_cross_entropy_with_logits(
        logits[known], (labels[known] > 0).float()
    )
    torch.testing.assert_close(PartialBCE()(sigmoid(logits), labels), expected)


def test_durands_weight():
    logits, labels = example()
    total = 0.0
    for x, y in zip(logits, labels, strict=True):
        known = y != 0
        if known.any():
            bce = torch.nn.functional.binary_cross_entropy_with_logits(
                x[known], (y[known] > 0).float(), reduction="sum"
            )
            g = -4.45 * float(known.float().mean()) + 5.45
            total += g / 5 * float(bce)
    value = PartialBCE(p_bce_weight="durand")(sigmoid(logits), labels)
    assert float(value) == pytest.approx(total / 6, rel=1e-5)
    full = torch.ones(1, 10)
    one = PartialBCE(p_bce_weight="durand")(sigmoid(torch.zeros(1, 10)), full)
    assert float(one) == pytest.approx(math.log(2))  # g(1) = 1


def test_soft_targets_are_the_labs_partial_bce(oracles):
    """`BCELoss` of HCP-MLR-PL; targets within its margin are unknown ones."""
    with np.load(oracles / "methods/hcp_partial_bce.npz") as data:
        for margin in (0.0, 0.5, 0.75, 0.95):
            logits = torch.tensor(data["logits"], requires_grad=True)
            targets = torch.tensor(data["targets"], requires_grad=True)
            known = targets.detach().abs() > margin
            loss = PartialBCE()(sigmoid(logits), targets * known)
            loss.backward()
            for found, name in (
                (loss, f"loss_m{margin}"),
                (logits.grad, f"g.logits_m{margin}"),
                (targets.grad, f"g.targets_m{margin}"),
            ):
                np.testing.assert_allclose(found.detach(), data[name], atol=1e-6)
        nothing = PartialBCE()(sigmoid(logits), torch.zeros_like(targets))
        assert nothing == data["loss_no_known"] == 0


@pytest.mark.parametrize("loss", [PartialAsymmetricLoss(), PartialBCE()])
def test_soft_targets_of_one_are_the_labels(loss):
    torch.manual_seed(0)
    logits = torch.randn(5, 4, dtype=torch.float64)
    labels = torch.randint(-1, 2, (5, 4), dtype=torch.int8)
    torch.testing.assert_close(
        loss(sigmoid(logits), labels.double()), loss(sigmoid(logits), labels)
    )


def test_a_soft_target_is_a_positive_and_a_negative_by_its_weight():
    logits = torch.tensor([[0.3, -2.0]])
    loss = PartialAsymmetricLoss()
    one, other = (
        loss(sigmoid(logits), torch.tensor([[sign, 0.0]])) for sign in (1.0, -1.0)
    )
    mixed = loss(sigmoid(logits), torch.tensor([[0.25, 0.0]]))
    torch.testing.assert_close(mixed, 0.25 * one + 0.75 * other)
    mixed = loss(sigmoid(logits), torch.tensor([[-0.25, 0.0]]))
    torch.testing.assert_close(mixed, 0.25 * other + 0.75 * one)
