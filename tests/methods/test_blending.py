"""SARB and DSRB equal their public code: blended features, losses, gradients."""

import pytest
import torch

from mlrpl.methods.base import Located
from mlrpl.methods.transfers import quadrants
from mlrpl.methods.transfers.blending import BlendingTransfer
from mlrpl.methods.transfers.quadrants import QuadrantPrototypes, quadrant
from support.public_transfers import batch_of, gradient_names, make_method
from support.public_weights import as_map, check_gradients, graph_head, read
from support.recorded_draws import permutations

SARB = [
    "sarb_train_epoch0",
    "sarb_train_epoch5",
    "sarb_train_epoch5_alpha07_beta13",
    "sarb_train_epoch5_fully_known_image",
]
DSRB = ["dsrb_train_epoch5", "dsrb_train_epoch5_topk2"]
LOSSES = "losses_total_1bce_2con_3inst_4proto"


class Steps:
    steps = 4


def close(found, expected):
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def started(data, name, **options):
    """The method before the oracle's step: its draws, prototypes and epoch."""
    kind = name[:4]
    if kind == "dsrb":
        options["blend_classes"] = int(data["topk"])
    options["blend_known"] = options.get("blend_known", True)
    method = make_method(data, kind, permutations(data), **options)
    transfer = method.transfer
    transfer.compute_prototypes = lambda training: None
    transfer.start_epoch(int(data.get("epoch", 5)) + 1, Steps())
    if "rand_mask" in data:
        transfer.draw = lambda labels: data["rand_mask"]
    if kind == "sarb":
        transfer.prototypes.centers.copy_(data["prototype"])
        transfer.prototypes.filled.fill_(1)
        if "prototype_index" in data:
            index = data["prototype_index"].long()
            transfer.draw_prototype = lambda filled: index
    else:
        transfer.prototypes.means.copy_(data["prototype_featuremap"].sum((2, 3)))
        transfer.prototypes.present.fill_(1)
        shifts = data["quadrant_shift_randint_1_3"].long()
        transfer.draw_shifts = lambda own: shifts
    return method


def watched(method):
    """What the method blends in its next step, by kind."""
    transfer, seen = method.transfer, {}
    first, second = transfer.with_images, transfer.with_prototypes

    def kept_first(features, labels):
        seen["semantic"] = features
        seen["inst"] = first(features, labels)
        return seen["inst"]

    def kept_second(step):
        seen["proto"] = second(step)
        return seen["proto"]

    transfer.with_images, transfer.with_prototypes = kept_first, kept_second
    return seen


def check(data, name):
    method = started(data, name)
    seen = watched(method)
    loss = method.loss(batch_of(data["x"], data["y"]))
    close(loss, data[LOSSES].flatten()[0])
    loss.backward()
    check_gradients(method, data, gradient_names(name[:4]))
    return method, seen


@pytest.mark.parametrize("name", [*SARB, *DSRB])
def test_a_step_is_the_public_codes(oracles, name):
    data = read(oracles, name)
    method, seen = check(data, name)
    if "logits" not in data:
        assert not seen
        return
    close(seen["semantic"], data["semantic"])
    for kind in ("inst", "proto"):
        features, targets = seen[kind]
        close(targets, data[f"target_{kind}"])
        close(method.head.logits(features, None), data[f"logits_{kind}"])


@pytest.mark.parametrize("name", DSRB)
def test_the_quadrant_of_the_peak_is_the_public_codes(oracles, name):
    data = read(oracles, name)
    found = graph_head(data).train().located(as_map(data["x"]))
    own = quadrant(found.evidence, tuple(data["x"].shape[2:]))
    assert torch.equal(own, data["own_quadrant"].long())


def test_blending_pooled_features_is_blending_maps(oracles):
    """The map-based computation that the public code does, literally."""
    data = read(oracles, "dsrb_train_epoch5")
    head = graph_head(data).train()
    reduced = head.reduction(as_map(data["x"]))
    maps = head.decoupling.attention(reduced)[..., None] * reduced[:, None]
    alpha = data["w.alpha"]
    labels = data["y"]
    take = ((labels == 0) & (labels.flip(0) == 1))[..., None, None]
    blended = torch.where(take, alpha * maps + (1 - alpha) * maps.flip(0), maps)
    transfer = started(data, "dsrb_train_epoch5").transfer
    pooled, _ = transfer.with_images(maps.sum(2), labels)
    close(pooled, blended.sum(2))


class Images:
    steps = 1

    def __init__(self, data, size):
        self.data, self.size = data, size

    def located(self, size):
        head = graph_head(self.data).eval()
        whole = batch_of(self.data["x"], self.data["y"])
        found = head.located(whole.features)
        for rows in torch.arange(len(whole.labels)).split(self.size):
            batch = type(whole)(*(part[rows] for part in whole.tensors().values()))
            yield batch, Located(*(part[rows] for part in found))


@pytest.mark.parametrize("size", [4, 256])
@pytest.mark.parametrize(
    "name", ["dsrb_prototypes", "dsrb_prototypes_with_empty_quadrants"]
)
def test_prototypes_by_quadrant_are_the_public_codes(oracles, name, size):
    data = read(oracles, name)
    module = QuadrantPrototypes(5, 8, tuple(data["x"].shape[2:]), 100)
    module.compute(Images(data, size))
    assert module.present.all()
    close(module.means, data["prototype_featuremap"].sum((2, 3)))


@pytest.mark.parametrize("size", [3, 256])
def test_a_quadrant_takes_its_first_members_alone(oracles, size):
    data = read(oracles, "dsrb_prototypes")
    grid = tuple(data["x"].shape[2:])
    module = QuadrantPrototypes(5, 8, grid, 2)
    module.compute(Images(data, size))
    batch, found = next(Images(data, 256).located(256))
    own = quadrant(found.evidence, grid)
    for c in range(5):
        for q in range(4):
            rows = ((batch.labels[:, c] == 1) & (own[:, c] == q)).nonzero()[:2, 0]
            if len(rows):
                mean = found.class_features[rows, c].sum(0) / (len(rows) + 1)
                close(module.means[c, q], mean)


def test_a_class_without_positives_is_not_blended(oracles):
    data = read(oracles, "dsrb_prototypes")
    data["y"][:, 2] = 0
    module = QuadrantPrototypes(5, 8, tuple(data["x"].shape[2:]), 100)
    module.compute(Images(data, 256))
    assert module.present.tolist() == [1, 1, 0, 1, 1]
    assert not module.means[2].any()
    for name in ("sarb_train_epoch5", "dsrb_train_epoch5"):
        data = read(oracles, name)
        method = started(data, name)
        prototypes = method.transfer.prototypes
        if name.startswith("sarb"):
            prototypes.filled.zero_()
        else:
            prototypes.present.zero_()
        seen = watched(method)
        batch = batch_of(data["x"], data["y"])
        method.loss(batch)
        close(seen["proto"][1], batch.labels.float())


def test_fewer_clusters_are_taken_in_turn(oracles):
    data = read(oracles, "sarb_train_epoch5")
    transfer = started(data, "sarb_train_epoch5").transfer
    transfer.prototypes.filled[1, 1:] = 0
    transfer.prototypes.filled[2] = 0
    transfer.draw_prototype = lambda filled: torch.tensor([2])
    found, there = transfer.prototypes_for(None)
    expected = data["prototype"]
    close(
        found[[0, 1, 3]],
        torch.stack([expected[c, k] for c, k in ((0, 2), (1, 0), (3, 2))]),
    )
    assert there.tolist() == [True, True, False, True, True]


@pytest.mark.parametrize("name", ["sarb_train_epoch5", "dsrb_train_epoch5_topk2"])
def test_an_image_without_unknown_classes_is_left_alone(oracles, name):
    data = read(oracles, name)
    data["y"][1] = 1
    data["y"][2] = torch.tensor([1, -1, 0, 1, 1])
    labels = batch_of(data["x"], data["y"]).labels
    number = 2 if "topk2" in name else 1
    coded, mended = (
        started(data, name, blend_known=known).transfer.drawn_unknown(labels, number)
        for known in (True, False)
    )
    assert coded[1].sum() == number
    if number == 1:
        assert coded[1, 0]  # the first class
    assert not mended[1].any()
    assert mended[2].tolist() == [False, False, True, False, False]
    assert torch.equal(coded & (labels == 0), mended)


@pytest.mark.parametrize("name", ["sarb_train_epoch5", "dsrb_train_epoch5"])
def test_small_batches_are_defined(oracles, name):
    data = read(oracles, name)
    method = started(data, name, blend_known=False)
    transfer = method.transfer
    del transfer.draw
    if name.startswith("dsrb"):
        del transfer.draw_shifts
    transfer.contrast.draw = lambda members: torch.rand(members.shape)
    whole = batch_of(data["x"], data["y"])
    one = type(whole)(*(part[:1] for part in whole.tensors().values()))
    assert torch.isfinite(method.loss(one))
    everything = type(whole)(whole.features, whole.labels.abs() * 2 - 1, whole.images)
    assert torch.isfinite(method.loss(everything))


def test_shares_have_a_rate_of_their_own_and_stay_shares(oracles):
    data = read(oracles, "sarb_train_epoch5_alpha07_beta13")
    method = started(data, "sarb_train_epoch5_alpha07_beta13", lr_scalars=0.125)
    (group,) = method.transfer.groups()
    assert group.rate == 0.125 and len(group.parameters) == 2
    assert method.transfer.beta > 1
    method.loss(batch_of(data["x"], data["y"]))
    assert method.transfer.beta == 1


@pytest.mark.parametrize("name", ["sarb_train_epoch5", "dsrb_train_epoch5"])
def test_prototypes_are_computed_when_the_public_code_does(oracles, name):
    transfer = started(read(oracles, name), name).transfer
    computed = []
    transfer.compute_prototypes = lambda training: computed.append(epoch)
    for epoch in range(1, 21):
        transfer.start_epoch(epoch, Steps())
    assert computed == [6, 11, 16]


def next_image(self, features, labels):
    there = labels.roll(1, 0)
    share = torch.where((labels == 0) & (there == 1), self.alpha, 1.0)[..., None]
    mixed = share * features + (1 - share) * features.roll(1, 0)
    return mixed, share[..., 0] * labels + (1 - share[..., 0]) * there


def other_share(self, features, labels):
    there = labels.flip(0)
    share = torch.where((labels == 0) & (there == 1), 1 - self.alpha, 1.0)[..., None]
    mixed = share * features + (1 - share) * features.flip(0)
    return mixed, share[..., 0] * labels + (1 - share[..., 0]) * there


@pytest.mark.parametrize(
    "mutation", ["the next image", "the shares swapped", "the other half"]
)
def test_the_oracle_catches(oracles, monkeypatch, mutation):
    name = "sarb_train_epoch5_alpha07_beta13"
    if mutation == "the next image":
        monkeypatch.setattr(BlendingTransfer, "with_images", next_image)
    elif mutation == "the shares swapped":
        monkeypatch.setattr(BlendingTransfer, "with_images", other_share)
    else:
        name = "dsrb_train_epoch5"
        monkeypatch.setattr(
            "mlrpl.methods.transfers.dsrb.quadrant",
            lambda evidence, grid: 3 - quadrant(evidence, grid),
        )
    with pytest.raises(AssertionError):
        check(read(oracles, name), name)


def test_the_oracle_catches_a_mean_without_the_zero(oracles, monkeypatch):
    data = read(oracles, "dsrb_prototypes")
    grid = tuple(data["x"].shape[2:])
    module = QuadrantPrototypes(5, 8, grid, 100)
    module.compute(Images(data, 256))
    members = data["members_per_quadrant"]
    full = members[..., None] > 0
    plain = torch.where(
        full,
        module.means * ((members + 1) / members.clamp(min=1))[..., None],
        module.means,
    )
    assert (plain - data["prototype_featuremap"].sum((2, 3))).abs().max() > 1e-3
    # Half of an odd number of rows is rounded down: 0 to 2 of 7 are above.
    evidence = torch.zeros(1, 1, 49)
    evidence[0, 0, 3 * 7 + 2] = 1
    assert quadrant(evidence, (7, 7)) == 2
    assert quadrants.QUADRANTS == 4
