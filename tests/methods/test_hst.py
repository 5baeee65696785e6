"""HST equals its public code: margins, prototypes, losses, gradients."""

import pytest
import torch

from mlrpl.methods.transfers import hst
from mlrpl.methods.transfers.hst import clamped
from mlrpl.methods.transfers.pair_network import presence
from support.public_transfers import batch_of, gradient_names, make_method
from support.public_weights import as_map, check_gradients, read
from support.recorded_draws import permutations

NAMES = gradient_names("hst")
LOSSES = "losses_total_1bce_2intra_3pair_4inter_5con_6proto"


def close(found, expected):
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


class Steps:
    steps = 4


def started(data, prefix="randperm_", **options):
    """The method before the step of the oracle, its prototypes given."""
    options = {"prototype_sign": "as_coded", "margin_slope": 0, **options}
    method = make_method(data, "hst", permutations(data, prefix), **options)
    transfer = method.transfer
    transfer.prototypes.compute = lambda training: None
    transfer.start_epoch(int(data["epoch"]) + 1, Steps())
    transfer.prototypes.centers.copy_(data["prototype"])
    transfer.prototypes.filled.fill_(1)
    return method


def check(data):
    method = started(data)
    transfer, batch = method.transfer, batch_of(data["x"], data["y"])
    found = {}
    exceeding = transfer.exceeding

    def kept(within, across):
        found["v"] = exceeding(within, across)
        return found["v"]

    transfer.exceeding = kept
    loss = method.loss(batch)
    close(loss, data[LOSSES][0, 0])
    loss.backward()
    check_gradients(method, data, NAMES)
    return method, found


@pytest.mark.parametrize(
    "name",
    [
        "hst_train_epoch2",
        "hst_train_epoch5_margins_1",
        "hst_train_epoch5_margins_low",
    ],
)
def test_a_step_is_the_public_codes(oracles, name):
    data = read(oracles, name)
    _, found = check(data)
    assert ("v" in found) == (int(data["epoch"]) >= 5)
    if found:
        close(found["v"][0], data["v_intra"])
        close(found["v"][1], data["v_inter"])


def test_the_weight_of_what_is_learned_grows_in_the_first_epoch(oracles):
    data = read(oracles, "hst_train_epoch2")
    _, known, _, pairs, _, contrast, _ = data[LOSSES][0]
    for steps, share in ((0, 0), (1, 0.25), (3, 0.75)):
        method = started(data)
        method.start_epoch(1, lambda size: iter(()), Steps.steps)
        for _ in range(steps):
            method.after_step()
        loss = method.loss(batch_of(data["x"], data["y"]))
        close(loss, known + share * (pairs + contrast))


@pytest.mark.parametrize("slope", [0, 1])
def test_the_slope_at_the_bound_is_a_choice(oracles, slope):
    """An image with one known positive lies on the bound at a margin of 1."""
    data = read(oracles, "hst_train_epoch5_single_positive")
    prefix = f"subgradient{slope}."
    method = started(data, f"{prefix}randperm_", margin_slope=slope)
    loss = method.loss(batch_of(data["x"], data["y"]))
    close(loss, data[LOSSES][0, 0])
    loss.backward()
    transfer = method.transfer
    close(transfer.intra_margin.grad, data[f"{prefix}g.intraMargin"])
    close(transfer.inter_margin.grad, data[f"{prefix}g.interMargin"])


def test_the_corrected_sign_draws_positives_to_their_prototypes(oracles):
    data = read(oracles, "hst_train_epoch5_margins_low")
    batch = batch_of(data["x"], data["y"])
    losses = {}
    for sign in ("as_coded", "corrected"):
        method = started(data, prototype_sign=sign, prototype_loss=10)
        with torch.no_grad():
            losses[sign] = method.loss(batch)
            features = method.head.class_features(as_map(data["x"]))
            cosine = method.transfer.prototypes.mean_cosine(features)
    # 1 + y cos against 1 - y cos, in the mean over all entries.
    expected = 10 * 2 * (batch.labels * cosine).mean()
    close(losses["as_coded"] - losses["corrected"], expected)


def test_margins_have_a_rate_of_their_own(oracles):
    method = make_method(read(oracles, "hst_train_epoch2"), "hst", lr_scalars=0.25)
    pairs, margins = method.transfer.groups()
    assert margins.rate == 0.25 and pairs.rate is None
    ours = method.transfer.intra_margin, method.transfer.inter_margin
    assert [id(p) for p in margins.parameters] == [id(p) for p in ours]
    assert ours[0].detach() == read(oracles, "hst_train_epoch2")["w.intraMargin"]


def test_prototypes_are_computed_when_the_public_code_does(oracles):
    method = make_method(read(oracles, "hst_train_epoch2"), "hst")
    computed = []
    method.transfer.prototypes.compute = lambda training: computed.append(epoch)
    for epoch in range(1, 21):
        method.transfer.start_epoch(epoch, Steps())
    # Before the epochs 5, 10, 15, counted from 0.
    assert computed == [6, 11, 16]


def test_the_clamp():
    values = torch.tensor([-0.5, 0.0, 0.3, 1.0, 2.0], requires_grad=True)
    for slope, expected in ((0, [0, 0, 1, 0, 0]), (1, [0, 1, 1, 1, 0])):
        found = clamped(values, slope)
        assert found.tolist() == pytest.approx([0, 0, 0.3, 1, 1])
        (gradient,) = torch.autograd.grad(found.sum(), values)
        assert gradient.tolist() == expected


@pytest.mark.parametrize(
    "mutation", ["the other sign", "no class with itself", "margins in the wrong place"]
)
def test_the_oracle_catches(oracles, monkeypatch, mutation):
    data = read(oracles, "hst_train_epoch5_margins_low")
    if mutation == "the other sign":
        method = started(data, prototype_sign="corrected")
        loss = method.loss(batch_of(data["x"], data["y"]))
        assert (loss - data[LOSSES][0, 0]).abs() > 1e-3
        return
    if mutation == "no class with itself":

        def alone(logits, labels):
            count = (labels == 1).sum(dim=1, keepdim=True).clamp(min=1)
            return presence(logits, labels) - (labels == 1) / count

        monkeypatch.setattr(hst, "presence", alone)
    else:
        kind = hst.HeterogeneousSemanticTransfer
        real = kind.exceeding
        monkeypatch.setattr(kind, "exceeding", lambda self, a, b: real(self, b, a))
    with pytest.raises(AssertionError):
        check(data)
