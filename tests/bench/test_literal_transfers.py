"""The literal transfers equal the public code and the product, on the same draws."""

import copy

import pytest
import torch

from mlrpl.bench import inputs, literal_transfers
from mlrpl.bench import sizes as all_sizes
from mlrpl.bench.method_steps import put_to_work
from mlrpl.methods.transfers import pair_network
from support.data_files import fails
from support.public_transfers import batch_of, gradient_names, make_method
from support.public_weights import check_gradients, read
from support.recorded_draws import permutations

pytestmark = pytest.mark.usefixtures("one_thread")

KINDS = ("sst", "hst", "sarb", "dsrb")
IMAGES = 6


class Steps:
    steps = 3


def close(found, expected):
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


# -------------------------------------------------------------- against the public code


def started(data, kind, **options):
    """The literal form of a method of an oracle, before its step."""
    method = make_method(data, kind, **options)
    transfer = method.transfer
    if kind in ("sarb", "dsrb"):
        transfer.compute_prototypes = lambda training: None
        transfer.draw = lambda labels: data["rand_mask"]
    if kind == "hst":
        transfer.prototypes.compute = lambda training: None
    transfer.start_epoch(6, Steps())
    if kind in ("hst", "sarb"):
        transfer.prototypes.centers.copy_(data["prototype"])
        transfer.prototypes.filled.fill_(1)
    if kind == "sarb":
        transfer.draw_prototype = lambda filled: data["prototype_index"].long()
    if kind == "dsrb":
        transfer.prototypes.present.fill_(1)
        shifts = data["quadrant_shift_randint_1_3"].long()
        transfer.draw_shifts = lambda own: shifts
    found = literal_transfers.literal(method)
    if kind == "dsrb":
        found.transfer.maps = data["prototype_featuremap"].flatten(2, 3)
    return found


def literal_names(kind):
    names = gradient_names(kind)
    return {ours.replace(".", ".own.", 1): public for ours, public in names.items()}


def recorded(method, data):
    """Let the contrastive loss take the public code's permutations, and count them."""
    left = permutations(data)

    def permutation(costs):
        assert len(left[0]) == len(costs)
        return left.pop(0)

    method.transfer.contrast.permutation = permutation
    return left


OPTIONS = {
    "hst": {"prototype_sign": "as_coded"},
    "sarb": {"blend_known": True},
    "dsrb": {"blend_known": True},
}


@pytest.mark.parametrize(
    "name",
    [
        "hst_train_epoch5_margins_low",
        "sarb_train_epoch5",
        "sarb_train_epoch5_alpha07_beta13",
        "sarb_train_epoch5_fully_known_image",
        "dsrb_train_epoch5",
        "dsrb_train_epoch5_topk2",
    ],
)
def test_a_literal_step_is_the_public_codes(oracles, name):
    data, kind = read(oracles, name), name.partition("_")[0]
    options = dict(OPTIONS[kind])
    if kind == "dsrb":
        options["blend_classes"] = int(data["topk"])
    method = started(data, kind, **options)
    left = recorded(method, data)
    loss = method.loss(batch_of(data["x"], data["y"]))
    close(loss, next(v for k, v in data.items() if "losses" in k).flatten()[0])
    loss.backward()
    check_gradients(method, data, literal_names(kind))
    assert not left


def test_an_epoch_of_literal_sst_is_the_public_codes(oracles):
    weights = read(oracles, "sst_forward_weights_data")
    data = read(oracles, "sst_train_epoch5")
    method = started(weights, "sst")
    transfer, left = method.transfer, recorded(method, data)
    both = transfer._pseudo_labels

    def with_two_margins(*given):  # of which the oracle has one each
        found = []
        for place, margin in enumerate((0.5, 0.05)):
            transfer.own.margin.fill_(margin)
            found.append(both(*given)[place])
        return found

    transfer._pseudo_labels = with_two_margins
    losses = data["losses_total_1bce_2intra_3pair_4inter_5con"]
    for number, expected in enumerate(losses):
        method.zero_grad()
        loss = method.loss(batch_of(weights[f"x{number}"], weights[f"y{number}"]))
        close(loss, expected[0])
        loss.backward()
        check_gradients(method, data, literal_names("sst"), f"b{number}.g.")
    close(transfer.own.memory.features, data["memory_after"])
    assert not left


# ------------------------------------------------------------------ against the product


def both_forms(clip, kind, method=None):
    """Product and literal form of a method at work, and a batch, in fp64."""
    sizes = all_sizes.quick()
    options = inputs.make_options(sizes, inputs.load_config(), method or kind)
    ours = inputs.make_method(sizes, options, clip)
    put_to_work(ours)
    transfer = ours.transfer
    with torch.no_grad():  # so that some labels pass, and shares differ
        if kind in ("sst", "hst"):
            transfer.pairs.classifier.weight.mul_(99)
        if kind == "sst":
            transfer.margin.fill_(0.1)
        elif kind == "hst":
            transfer.intra_margin.fill_(0.3)
            transfer.inter_margin.fill_(-0.1)
        else:
            transfer.alpha.fill_(0.7)
            transfer.beta.fill_(0.2)
    batch = inputs.make_batch(sizes, ours, clip, IMAGES, torch.device("cpu"))
    labels = torch.randint(-1, 2, batch.labels.shape).to(torch.int8)
    batch = type(batch)(batch.features.double(), labels, batch.images)
    ours = ours.double().train()
    theirs = literal_transfers.literal(ours)
    ours.transfer.contrast.draw = lambda members: torch.arange(len(members)).double()
    theirs.transfer.contrast.permutation = lambda costs: torch.arange(len(costs))
    return ours, theirs, batch


def loss_of(method, batch):
    torch.manual_seed(3)
    loss = method.loss(batch)
    loss.backward()
    return loss.detach()


@pytest.mark.parametrize("kind", KINDS)
def test_the_literal_step_equals_the_products(clip, kind):
    torch.manual_seed(1)
    ours, theirs, batch = both_forms(clip, kind)
    losses = [loss_of(method, batch) for method in (ours, theirs)]
    torch.testing.assert_close(*losses, rtol=1e-10, atol=1e-10)
    found = {name.replace(".own.", "."): p for name, p in theirs.named_parameters()}
    assert set(found) == {name for name, _ in ours.named_parameters()}
    for name, parameter in ours.named_parameters():
        grads = [
            torch.zeros_like(parameter) if p.grad is None else p.grad
            for p in (parameter, found[name])
        ]
        torch.testing.assert_close(*grads, rtol=1e-7, atol=1e-10, msg=name)
    if kind == "sst":
        memories = ours.transfer.memory, theirs.transfer.own.memory
        features = [memory.features for memory in memories]
        torch.testing.assert_close(*features, rtol=1e-12, atol=1e-12)
        assert features[0][:, 0].any()
    ours.transfer.started = False
    assert abs(loss_of(ours, batch) - losses[0]) > 1e-3


@pytest.mark.parametrize("kind", ["sst", "hst"])
def test_some_unknown_labels_pass_and_some_do_not(clip, kind):
    torch.manual_seed(1)
    ours, _, batch = both_forms(clip, kind)
    transfer, labels = ours.transfer, batch.labels
    features = ours.located(batch.features).class_features
    pairs = transfer.pairs(features)
    if kind == "sst":
        transfer.memory.update(features, labels)
        found = transfer.pseudo_labels(pairs, features, labels)
    else:
        within = pair_network.presence(pairs, labels)
        across = transfer.prototypes.mean_cosine(features)
        found = transfer.exceeding(within, across)
    for part in found:
        passed = part[labels == 0] > 0
        assert passed.any() and not passed.all()


def test_random_numbers_decide(clip):
    """The two draw alike: another seed would make another loss."""
    ours, theirs, batch = both_forms(clip, "dsrb")
    losses = set()
    for seed in (3, 4):
        torch.manual_seed(seed)
        losses.add(round(float(theirs.loss(batch).detach()), 6))
        torch.manual_seed(seed)
        losses.add(round(float(ours.loss(batch).detach()), 6))
    assert len(losses) == 2


def test_the_literal_form_has_weights_of_its_own(clip):
    ours, theirs, _ = both_forms(clip, "hst")
    before = copy.deepcopy(ours.state_dict())
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.add_(1)
    for name, tensor in ours.state_dict().items():
        assert torch.equal(tensor, before[name])
    assert theirs.transfer.groups()[1].rate == ours.transfer.groups()[1].rate


def test_there_is_no_literal_form_of_other_methods(clip):
    sizes, config = all_sizes.quick(), inputs.load_config()
    for name in ("ssgrl", "sarl", "sst+loss=p_asl", "sst+p_bce_weight=durand"):
        options = inputs.make_options(sizes, config, name)
        method = inputs.make_method(sizes, options, clip)
        assert not literal_transfers.has_literal(method)
        fails(literal_transfers.literal, method, match="there is no literal form of")
