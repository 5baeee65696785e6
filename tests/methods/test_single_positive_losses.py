"""AN, AN-LS, WAN, EPR, ROLE, EM and APL equal public code; their known negatives."""

import pytest
import torch

from mlrpl.errors import UserError
from mlrpl.methods.losses.assumed_negative import (
    AssumedNegative,
    SmoothedAssumedNegative,
    WeakAssumedNegative,
)
from mlrpl.methods.losses.em_apl import AsymmetricPseudoLabeling, EntropyMaximization
from mlrpl.methods.losses.epr import ExpectedPositiveRegularization
from mlrpl.methods.losses.p_bce import PartialBCE
from mlrpl.methods.losses.role import RegularizedOnlineLabelEstimation, start
from mlrpl.methods.scores import sigmoid
from support.public_losses import NoImages, batch_of, check, inputs_of, take
from support.public_weights import read

APL = {"entropy_weight": 0.1, "soft_weight": 0.9, "soft_share": 0.9, "apl_epoch": 5}


def small(seed=0, images=6, classes=5):
    """Logits and labels with known positives, known negatives and unknown labels."""
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(images, classes, generator=generator)
    labels = torch.randint(-1, 2, (images, classes), generator=generator)
    return logits, labels.to(torch.int8)


@pytest.mark.parametrize(
    ("case", "loss"),
    [
        ("an", AssumedNegative()),
        ("an_ls", SmoothedAssumedNegative(label_smoothing=0.1)),
        ("wan", WeakAssumedNegative()),
    ],
)
def test_assumed_negatives_are_the_public_codes(oracles, case, loss):
    data = read(oracles, "single_positive_losses")
    check(loss, data, data["y_pos"], case)


def test_expected_positives_are_the_public_codes(oracles):
    data = read(oracles, "single_positive_losses")
    inputs = inputs_of(data["y_pos"])
    loss = ExpectedPositiveRegularization(inputs, expected_positives=1.5)
    check(loss, data, data["y_pos"], "epr")


def test_role_is_the_public_codes(oracles):
    data = read(oracles, "single_positive_losses")
    loss = RegularizedOnlineLabelEstimation(
        inputs_of(data["y_pos"]), expected_positives=1.5, lr_estimates=10
    )
    with torch.no_grad():
        loss.estimates.copy_(data["estimator_logits"])
    check(loss, data, data["y_pos"], "role")
    torch.testing.assert_close(
        loss.estimates.grad, data["role.g.estimator_logits"], rtol=1e-5, atol=1e-5
    )


def test_roles_estimates_start_as_the_public_codes(oracles, monkeypatch):
    data = read(oracles, "role_label_estimator_init")
    monkeypatch.setattr(torch, "rand", lambda shape: data["uniform_draw"])
    found = start(data["y_1pos_m1neg_0unknown"])
    torch.testing.assert_close(found, data["logits"], rtol=1e-5, atol=1e-5)


def test_ignored_unknown_labels_are_partial_bce_by_another_number(oracles):
    """IU's mean is over all labels, partial BCE's over the known ones."""
    data = read(oracles, "single_positive_losses")
    labels = data["y_iu"]
    share = float((labels != 0).float().mean())
    check(PartialBCE(), data, labels, "iu", factor=share)


@pytest.mark.parametrize(
    ("setting", "alpha", "beta"), [("coco", 0.1, 0.9), ("pascal", 0.2, 0.02)]
)
def test_em_and_apl_are_the_public_codes(oracles, setting, alpha, beta):
    data = read(oracles, "em_apl_losses")
    check(
        EntropyMaximization(entropy_weight=alpha), data, data["y_em"], f"em_{setting}"
    )
    coded = data["y_em_apl_with_minus_soft_label"]
    labels = torch.where(coded > 0, coded, 0)
    weights = {"entropy_weight": alpha, "soft_weight": beta}
    loss = AsymmetricPseudoLabeling(inputs_of(labels), 10, **{**APL, **weights})
    loss.soft.copy_(torch.where(coded < 0, -coded, -1))
    check(loss, data, labels, f"em_apl_{setting}")


def test_the_pseudo_labels_are_the_public_codes(oracles):
    data = read(oracles, "em_apl_pseudo_labelling")
    labels = data["obs_before"].to(torch.int8)
    loss = AsymmetricPseudoLabeling(inputs_of(labels), 10, **APL)
    for name in ("obs_after_round1", "obs_after_round2"):
        loss.choose(torch.sigmoid(data["logits_all"]), labels)
        expected = torch.where(data[name] < 0, -data[name], -1)
        torch.testing.assert_close(loss.soft, expected, rtol=1e-5, atol=1e-6)


def test_soft_labels_are_chosen_after_the_epoch_and_only_of_unknown_labels():
    logits, labels = small(images=40)
    labels[:, 0] = torch.where(labels[:, 0] == 0, -1, labels[:, 0])  # all known
    loss = AsymmetricPseudoLabeling(inputs_of(labels), 10, **APL)

    class Images:
        steps = 4

        def scored(self, size):
            yield batch_of(labels), sigmoid(logits)

    loss.start_epoch(5, Images())
    assert (loss.soft == -1).all()
    loss.start_epoch(6, Images())
    chosen = loss.soft >= 0
    assert (labels[chosen] == 0).all() and not chosen[:, 0].any()
    expected = (0.9 * (labels == 0).sum(dim=0) / 5).long()
    assert chosen.sum(dim=0).tolist() == expected.tolist()
    p = torch.sigmoid(logits)
    for c in range(1, 5):
        others = p[(labels[:, c] == 0) & ~chosen[:, c], c]
        assert p[chosen[:, c], c].max() <= others.min()


def test_a_known_negative_is_no_soft_label():
    """In the public code's coding a label of -1 is trained towards a positive."""
    logits, labels = small()
    loss = AsymmetricPseudoLabeling(inputs_of(labels), 10, **APL)
    _, gradient = take(loss, logits, labels)
    assert (gradient[labels == -1] > 0).all() and (gradient[labels == 1] < 0).all()


LOSSES = {
    "an": lambda inputs: AssumedNegative(inputs),
    "wan": lambda inputs: WeakAssumedNegative(inputs),
    "epr": lambda inputs: ExpectedPositiveRegularization(
        inputs, expected_positives=1e-9
    ),
    "em": lambda inputs: EntropyMaximization(inputs, entropy_weight=0.3),
}


@pytest.mark.parametrize("name", LOSSES)
def test_a_known_negative_costs_what_it_does_in_bce(name):
    """An unknown label made a known negative changes its own cost to -log(1 - p)."""
    logits, labels = small()
    labels[2, 3] = -1
    unknown = labels.clone()
    unknown[2, 3] = 0
    loss = LOSSES[name](inputs_of(labels))
    known_value, _ = take(loss, logits, labels)
    value, _ = take(loss, logits, unknown)
    p = torch.sigmoid(logits[2, 3])
    full, eps = -torch.log(1 - p + 1e-5), 1e-5
    assumed = {
        "an": full,
        "wan": full / 4,
        "epr": torch.tensor(0.0),
        "em": 0.3 * (p * torch.log(p + eps) + (1 - p) * torch.log(1 - p + eps)),
    }[name]
    torch.testing.assert_close(
        30 * (known_value - value), full - assumed, rtol=1e-3, atol=1e-4
    )


def test_the_expected_positives_are_counted_on_known_labels():
    generator = torch.Generator().manual_seed(1)
    prior = torch.tensor([0.5, 0.2, 0.05])
    truth = torch.where(torch.rand(20_000, 3, generator=generator) < prior, 1, -1)
    known = truth * (torch.rand(truth.shape, generator=generator) < 0.3)
    loss = ExpectedPositiveRegularization(inputs_of(known), expected_positives="known")
    mean = (truth > 0).sum(dim=1).float().mean()
    assert float(loss.expected.number) == pytest.approx(float(mean), abs=0.03)


def test_positives_alone_cannot_be_counted():
    known = torch.tensor([[1, 0], [0, 1]])
    loss = ExpectedPositiveRegularization(inputs_of(known), expected_positives="known")
    with pytest.raises(UserError, match="expected_positives: known") as caught:
        loss.start_epoch(1, NoImages())
    assert "\n" not in str(caught.value)
    given = ExpectedPositiveRegularization(inputs_of(known), expected_positives=1.5)
    given.start_epoch(1, NoImages())


def test_roles_estimates_follow_known_labels_and_scores():
    logits, labels = small(images=8)
    inputs = inputs_of(labels)
    loss = RegularizedOnlineLabelEstimation(
        inputs, expected_positives="known", lr_estimates=10
    )
    assert [group.factor for group in loss.groups()] == [10]
    start_p = torch.sigmoid(loss.estimates.detach())
    assert (start_p[labels == 1] > 0.99).all() and (start_p[labels == -1] < 0.01).all()
    unknown = start_p[labels == 0]
    assert (unknown >= 0.4).all() and (unknown <= 0.6).all()
    take(loss, logits, labels)
    before = loss.estimates.grad.clone()
    loss.estimates.grad = None
    # Unknown, the estimates follow the scores and their sum alone.
    take(loss, logits, torch.zeros_like(labels))
    pull = before - loss.estimates.grad
    assert (pull[labels == 1] < 0).all() and (pull[labels == -1] > 0).all()
    assert (pull[labels == 0] == 0).all()
