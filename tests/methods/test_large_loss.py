"""LL-R, LL-Ct, LL-Cp and BoostLU equal public code; known labels are never taken."""

import pytest
import torch

from mlrpl.methods.heads.boost_lu import BoostedActivationHead
from mlrpl.methods.inputs import Inputs
from mlrpl.methods.losses.large_loss import LargeLoss
from mlrpl.methods.losses.p_bce import PartialBCE
from mlrpl.methods.scores import sigmoid
from mlrpl.training.checkpoints import Checkpoint
from mlrpl.training.gradients import GraphedGradients
from mlrpl.training.loop import Splits, train
from support import tiny
from support.public_losses import NoImages, batch_of, check, inputs_of, take
from support.public_weights import as_map, read
from support.trainings import StandIn, make, train_quietly

SCHEMES = {"ll_r": "LL-R", "ll_ct": "LL-Ct", "ll_cp": "LL-Cp"}


def made(labels, scheme, share=0.0, guard=True):
    loss = LargeLoss(
        inputs_of(labels),
        large_loss=scheme,
        large_loss_rate=0.06,
        large_loss_guard=guard,
    )
    loss.share.fill_(share)
    return loss


@pytest.mark.parametrize("guard", [True, False])
@pytest.mark.parametrize("clean", [1.0, 0.98, 0.9, 0.7])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_schemes_are_the_public_codes(oracles, scheme, clean, guard):
    data = read(oracles, "large_loss")
    labels = data["y_1pos_m1neg_0unknown"]
    share = 1 - clean
    if scheme == "ll_cp":  # its share is the rate, in every epoch but the first
        share = 0.06 if clean < 1 else 0
    case = f"boostlu_repo.{SCHEMES[scheme]}.clean{clean}"
    loss = made(labels, scheme, share, guard)
    check(loss, data, labels, case)
    if scheme == "ll_cp":
        assert torch.equal(loss.corrected.float(), data[f"{case}.flip_mask"])


@pytest.mark.parametrize("clean", [1.0, 0.98, 0.9, 0.7])
@pytest.mark.parametrize("scheme", ["ll_r", "ll_ct"])
def test_the_schemes_are_those_of_the_original_too(oracles, scheme, clean):
    """Whose LL-Cp is its LL-Ct, by a comparison of strings that is never true."""
    data = read(oracles, "large_loss")
    labels = data["y_1pos_m1neg_0unknown"]
    case = f"original.{SCHEMES[scheme]}.clean{clean}"
    check(made(labels, scheme, 1 - clean), data, labels, case)
    temporary, permanent = (
        data[f"original.{name}.clean{clean}.g.logits"] for name in ("LL-Ct", "LL-Cp")
    )
    assert torch.equal(temporary, permanent)


@pytest.mark.parametrize("scheme", ["ll_r", "ll_ct"])
def test_without_the_guard_known_labels_are_taken_as_in_the_public_code(
    oracles, scheme
):
    data = read(oracles, "large_loss")
    labels = data["y_mostly_known"]
    case = f"too_large_k.{SCHEMES[scheme]}.clean0.8"
    check(made(labels, scheme, 0.2, guard=False), data, labels, case)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_guard_keeps_known_labels_and_one_unknown(oracles, scheme):
    data = read(oracles, "large_loss")
    labels = data["y_mostly_known"].to(torch.int8)
    loss = made(labels, scheme, 0.2)
    unknown = labels == 0
    costs = torch.where(unknown, torch.rand(labels.shape) + 0.1, 0)
    large = loss.large(costs, unknown)
    assert not large[~unknown].any()
    assert int(large.sum()) == int(unknown.sum()) - 1
    _, gradient = take(loss, data["logits"], labels)
    assert (gradient[labels == 1] < 0).all() and (gradient[labels == -1] > 0).all()


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("value", [1, -1])
def test_a_batch_without_unknown_labels_is_plain_bce(scheme, value):
    logits = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    labels = torch.full((4, 3), value, dtype=torch.int8)
    found, _ = take(made(labels, scheme, 0.5), logits, labels)
    torch.testing.assert_close(found, PartialBCE()(sigmoid(logits), labels))


def test_the_share_by_epochs():
    labels = torch.zeros(4, 3, dtype=torch.int8)
    for scheme, expected in (("ll_r", [0, 0.06, 0.12]), ("ll_cp", [0, 0.06, 0.06])):
        loss = made(labels, scheme)
        found = []
        for epoch in (1, 2, 3):
            loss.start_epoch(epoch, NoImages())
            found.append(float(loss.share))
        assert found == pytest.approx(expected)


def test_a_corrected_label_is_a_positive_in_the_next_epoch():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(6, 4, generator=generator)
    labels = torch.zeros(6, 4, dtype=torch.int8)
    loss = made(labels, "ll_cp", 0.06)
    take(loss, logits, labels)
    first = loss.corrected.clone()
    assert int(first.sum()) == 2  # ceil(0.06 * 24)
    loss.share.fill_(0)
    value, _ = take(loss, logits, labels)
    expected = PartialBCE()(sigmoid(logits), torch.where(first, 1, -1))
    torch.testing.assert_close(value, expected)
    # A transfer's labels, or a test, correct nothing.
    loss.share.fill_(0.5)
    loss(sigmoid(logits), labels.clone(), batch_of(labels))
    loss.eval()
    take(loss, logits, labels)
    assert torch.equal(loss.corrected, first)


def test_boosted_activation_maps_are_the_public_codes(oracles):
    data = read(oracles, "boostlu_head")
    x = as_map(data["x"]).requires_grad_()
    labels = data["y_1pos_m1neg_0unknown"].to(torch.int8)
    inputs = Inputs(7, 3, torch.zeros(5, 2), clip=None, known=labels)
    head = BoostedActivationHead(inputs, boost=float(data["alpha"]))
    with torch.no_grad():
        head.classifier.weight.copy_(data["w.weight"].flatten(1))
        head.classifier.bias.copy_(data["w.bias"])
    logits = head.logits(head.class_features(x), head.prepare())
    torch.testing.assert_close(logits, data["logits"], rtol=1e-5, atol=1e-5)
    loss = made(labels, "ll_r", 0.2)(sigmoid(logits), labels, batch_of(labels))
    torch.testing.assert_close(loss, data["loss_LL-R_clean0.8"], rtol=1e-5, atol=1e-5)
    loss.backward()
    for found, name in (
        (x.grad, as_map(data["g.x"])),
        (head.classifier.weight.grad, data["g.weight"].flatten(1)),
        (head.classifier.bias.grad, data["g.bias"]),
    ):
        torch.testing.assert_close(found, name, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_killed_training_and_a_graph_correct_the_same_labels(
    tmp_path, monkeypatch, scheme
):
    files = tiny.write_files(tmp_path)
    changed = {"loss": "large_loss", "large_loss": scheme, "large_loss_rate": 0.1}
    method, training, test, options = make(files, **changed)
    train_quietly(method, options, training, test)

    def end(path):
        again, *_ = make(files, **changed)
        train_quietly(again, options, training, test, checkpoint=path)
        for name, tensor in method.state_dict().items():
            assert torch.equal(tensor, again.state_dict()[name]), name

    path = tmp_path / "checkpoint.pt"
    killed, *_ = make(files, **changed)
    seen = []

    def mean_ap(scores, targets):
        seen.append(1)
        if len(seen) > 3:
            raise KeyboardInterrupt
        return 1.0

    with pytest.raises(KeyboardInterrupt):
        train(
            *(killed, options, Splits(training, test), 0, mean_ap),
            progress=False,
            checkpoint=Checkpoint(path, "same", interval=0),
        )
    end(Checkpoint(path, "same"))
    graphs = []

    def graphed(method, _):
        graphs.append(GraphedGradients(method, StandIn()))
        return graphs[-1]

    monkeypatch.setattr("mlrpl.training.loop.gradients_of", graphed)
    end(None)
    # One graph for all epochs, whatever their share.
    assert len(graphs[0]._graphs) == 1 and None not in graphs[0]._graphs.values()
    if scheme == "ll_cp":
        assert method.loss_part.corrected.any()
