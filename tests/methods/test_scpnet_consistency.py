"""SCPNet's consistency equals public code, and its state a loop over the steps."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from mlrpl.errors import UserError
from mlrpl.methods.base import Batch, Step
from mlrpl.methods.class_graph import kept, prior, relation
from mlrpl.methods.inputs import Inputs
from mlrpl.methods.losses.splc import SelfPacedLossCorrection
from mlrpl.methods.scores import sigmoid
from mlrpl.methods.transfers.scpnet import StructuredPriorConsistency
from mlrpl.text.clip_text import ClipText
from support import tiny
from support.public_losses import NoImages
from support.public_weights import read
from support.trainings import make, run, train_quietly

SPLC = {"splc_threshold": 0.6, "splc_gamma": 2, "splc_epoch": 1}
CAUGHT = 1e-3  # what a deliberate error changes at least, against 1e-5


def close(found, expected):
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def off(found, expected) -> float:
    return float((found - expected).detach().abs().max())


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return ClipText(tiny.write_clip(tmp_path_factory.mktemp("clip") / "clip"))


def transfer(clip, known, **changes):
    options = {
        "prior_top": 2,
        "scpnet_weight": 0.125,
        "scpnet_likeliest": 2,
        "scpnet_cutoff": 0.95,
        "scpnet_relation": 1,
        "scpnet_temperature": 0.2,
        "scpnet_negatives": "absent",
    }
    inputs = Inputs(1, tiny.DIM, torch.zeros(3, 2), clip=clip, known=known)
    return StructuredPriorConsistency(inputs, **{**options, **changes})


@pytest.fixture
def data(oracles):
    return read(oracles, "scpnet_losses")


@pytest.fixture
def public(clip, data):
    """The transfer with the numbers of the oracle."""
    made = transfer(
        *(clip, torch.zeros(5, 6, dtype=torch.int8)),
        scpnet_weight=float(data["lambda_u"]),
        scpnet_likeliest=int(data["hard_k"]),
        scpnet_cutoff=float(data["p_cutoff"]),
        scpnet_relation=float(data["kl_lambda"]),
    )
    made.relation = data["relation"]
    made.frequency = lambda: data["classwise_acc"]
    return made


def step_of(views: list[Tensor], labels: Tensor, loss, images=None) -> Step:
    """A step whose cached features are the scores' logits."""
    images = torch.arange(len(labels)) if images is None else images
    further = torch.stack(views[1:])
    batch = Batch(views[0], labels.to(torch.int8), images, further)
    scores = sigmoid(views[0])
    return Step(batch, views[0], None, scores, None, loss, sigmoid)


def taken(public, data, epoch) -> tuple[Tensor, list[Tensor]]:
    """The loss of the oracle's step times its images, and the logits by view."""
    loss = SelfPacedLossCorrection(**SPLC)
    loss.start_epoch(epoch + 1, NoImages())
    names = ("logits_labelled", "logits_weak", "logits_strong")
    views = [data[name].clone().requires_grad_() for name in names]
    # The public code sums over the images.
    total = public(step_of(views, data["y01"], loss)) * len(data["y01"])
    return total, views


@pytest.mark.parametrize("epoch", [0, 1])
def test_a_step_is_the_public_codes(public, data, epoch):
    total, (labelled, weak, strong) = taken(public, data, epoch)
    close(total, data[f"epoch{epoch}.total"])
    total.backward()
    close(labelled.grad, data[f"epoch{epoch}.g.logits_labelled"])
    close(strong.grad, data[f"epoch{epoch}.g.logits_strong"])
    assert not weak.grad.any()
    # Every row has a pseudo label, so that all are remembered.
    assert torch.equal(public.selected, data[f"epoch{epoch}.pseudo_labels"].bool())


def test_the_terms_and_the_thresholds_are_the_public_codes(public, data):
    q = data["classwise_acc"]
    close(public.thresholds(), torch.tensor([0.95 * x / (2 - x) for x in q.tolist()]))
    strong, weak = (sigmoid(data[f"logits_{name}"]) for name in ("strong", "weak"))
    labels, thresholds = data["y01"].to(torch.int8), public.thresholds()
    found, chosen = public.consistency(strong, weak.p, labels, thresholds)
    close(5 * found, data["epoch0.consistency"])
    assert torch.equal(chosen.float(), data["epoch0.pseudo_labels"])
    for epoch in (0, 1):
        loss = SelfPacedLossCorrection(**SPLC)
        loss.start_epoch(epoch + 1, NoImages())
        logits = data["logits_labelled"]
        close(5 * loss(sigmoid(logits), labels), data[f"epoch{epoch}.splc"])
        # What SPLC's rule makes of the labels.
        p = torch.sigmoid(torch.where(labels == 1, logits - 1, logits))
        targets = labels.bool() | (p > 0.6) & (epoch > 0)
        assert torch.equal(targets.float(), data[f"epoch{epoch}.splc_targets"])


def test_relations_are_the_public_codes(oracles, data):
    head = read(oracles, "scpnet_head")
    top, temperature = int(head["sparse_topk"]), float(head["T"])
    found = relation(head["relation_raw"], top, temperature)
    close(found, head["relation"])
    close(found, data["relation"])
    # Without the mask, and with it before the softmax.
    graph = prior(head["relation_raw"], top)
    whole = torch.softmax(graph / temperature, dim=1)
    mask = kept(head["relation_raw"], top).bool()
    early = torch.softmax(graph.masked_fill(~mask, -math.inf) / temperature, dim=1)
    assert off(whole, head["relation"]) > CAUGHT
    close(early, found)  # the same, since a softmax keeps ratios
    assert off(relation(head["relation_raw"], top, 0.2), head["relation"]) > CAUGHT


@pytest.mark.parametrize("name", ["voc_20x20", "coco_80x80"])
def test_published_relations_have_rows_of_one(oracles, name):
    similarity = read(oracles, "scpnet_published_relation")[name]
    top, temperature = (20, 0.3) if name.startswith("voc") else (62, 0.2)
    found = relation(similarity, top, temperature)
    close(found.sum(dim=1), torch.ones(len(found)))
    assert ((found > 0).sum(dim=1) == top).all()
    assert torch.equal(found.argmax(dim=1), torch.arange(len(found)))


@pytest.mark.parametrize(
    "wrong",
    [
        {"relation": lambda made: made.relation.T},
        {"related": lambda made: 1},
        {"weight": lambda made: 0.25},
        {"likeliest": lambda made: 3},
        {"cutoff": lambda made: 0.5},
        {"frequency": lambda made: lambda: torch.ones(6)},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_a_likely_error_is_caught(public, data, wrong):
    ((name, value),) = wrong.items()
    setattr(public, name, value(public))
    total, _ = taken(public, data, 0)
    assert off(total, data["epoch0.total"]) > CAUGHT


def test_the_views_the_wrong_way_round_are_caught(public, data):
    data["logits_weak"], data["logits_strong"] = (
        *(data["logits_strong"], data["logits_weak"]),
    )
    total, _ = taken(public, data, 0)
    assert off(total, data["epoch0.total"]) > CAUGHT


IMAGES, CLASSES = 12, 6


def steps(made):
    """The losses and frequencies of eight steps, and what a loop makes of them.

    Image by image and class by class, in double precision, as the code has it.
    """
    random = np.random.default_rng(1)
    made.relation = torch.eye(CLASSES)
    selected = np.zeros((IMAGES, CLASSES), int)
    for _ in range(8):
        rows = random.permutation(IMAGES)[:5]
        labels = random.choice([0, 1], (5, CLASSES), p=[0.9, 0.1])
        views = [random.normal(-1, 2, (5, CLASSES)) for _ in range(3)]
        counter = selected.sum(axis=0)
        rest = max(counter.max(), 2 * IMAGES - counter.sum())
        q = [max(count / rest, 1 / CLASSES) for count in counter]
        expected = 0.0
        for row, label, weak, strong in zip(rows, labels, *views[1:], strict=True):
            p, s = 1 / (1 + np.exp(-weak)), 1 / (1 + np.exp(-strong))
            likeliest = sorted(range(CLASSES), key=lambda c: -p[c])[:2]
            least = [0.95 * x / (2 - x) for x in q]
            sure = [c for c in likeliest if p[c] >= least[c]]
            pseudo = [int(c in sure or label[c] == 1) for c in range(CLASSES)]
            if any(pseudo):
                selected[row] = pseudo
            for c in range(CLASSES) if sure else ():
                for target in (pseudo[c], p[c]):
                    expected -= target * math.log(s[c])
                    expected -= (1 - target) * math.log(1 - s[c])
        tensors = [torch.from_numpy(view).float() for view in views]
        images, before = torch.from_numpy(rows), made.frequency()
        step = step_of(tensors, torch.from_numpy(labels), nothing, images)
        found = torch.cat([made(step)[None], before])
        yield found, torch.tensor([0.125 * expected / 5, *q]).float(), selected


def nothing(scores, labels):
    return torch.zeros(())


def test_the_state_over_steps_is_that_of_a_loop(clip):
    made = transfer(clip, torch.zeros(IMAGES, CLASSES, dtype=torch.int8))
    for found, expected, selected in steps(made):
        close(found, expected)
        assert np.array_equal(made.selected.numpy(), selected)
        assert np.array_equal(made.counts.numpy(), selected.sum(axis=0))
    assert expected[1:].max() > 1 / CLASSES, "the frequencies have changed"


@pytest.mark.parametrize(
    "wrong",
    [
        {"threshold": lambda made: lambda q: made.cutoff * q},
        {"threshold": lambda made: lambda q: 0 * q + made.cutoff},
        {"frequency": lambda made: lambda: torch.full((CLASSES,), 1 / CLASSES)},
        {"remember": lambda made: lambda images, chosen: None},
    ],
    ids=["not over 2 - q", "fixed", "uniform", "forgotten"],
)
def test_a_likely_error_in_the_state_is_caught(clip, wrong):
    made = transfer(clip, torch.zeros(IMAGES, CLASSES, dtype=torch.int8))
    ((name, value),) = wrong.items()
    setattr(made, name, value(made))
    assert max(off(found[0], expected[0]) for found, expected, _ in steps(made)) > 1e-3


def test_a_known_negative_is_absent_in_both_terms(clip):
    """Its logit is pushed down alone, whatever the weak view says of it."""
    for kind in ("absent", "unknown"):
        made = transfer(
            *(clip, torch.zeros(1, 3, dtype=torch.int8)), scpnet_negatives=kind
        )
        strong = torch.zeros(1, 3, requires_grad=True)
        weak, thresholds = torch.tensor([[0.99, 0.9, 0.2]]), torch.full((3,), 0.5)
        labels = torch.tensor([[-1, 0, 0]])
        loss, chosen = made.consistency(sigmoid(strong), weak, labels, thresholds)
        loss.backward()
        if kind == "absent":
            assert chosen.tolist() == [[False, True, False]]
            # (1 + lambda) (p - 0) at p = 1/2.
            assert strong.grad[0, 0] == pytest.approx(2 * 0.5)
            # Nothing of it reaches its neighbours.
            expected = made.relation[1, 1:] @ weak[0, 1:]
            found = 2 * 0.5 - 1 - strong.grad[0, 1]
            assert found == pytest.approx(float(expected), rel=1e-5)
        else:
            assert chosen.tolist() == [[True, True, False]]
            assert strong.grad[0, 0] < 0


def test_a_negative_takes_no_place_among_the_likeliest(clip):
    made = transfer(clip, torch.zeros(1, 3, dtype=torch.int8), scpnet_likeliest=1)
    weak, least = torch.tensor([[0.99, 0.9, 0.2]]), torch.full((3,), 0.5)
    scores, labels = sigmoid(torch.zeros(1, 3)), torch.tensor([[-1, 0, 0]])
    _, chosen = made.consistency(scores, weak, labels, least)
    assert chosen.tolist() == [[False, True, False]]
    # All are: no pseudo label, and no term.
    loss, chosen = made.consistency(scores, weak, torch.full((1, 3), -1), least)
    assert loss == 0 and not chosen.any()


# ------------------------------------------------------------------ views of a training


def test_further_views_differ_and_leave_the_others_as_they_were(tmp_path):
    files = tiny.write_files(tmp_path, views=2)
    _, plain, *_ = make(files, head="linear")
    _, split, *_ = make(files, head="linear", transfer="scpnet")
    assert (plain.further, split.further) == (0, 2)
    drawn = []
    for epoch in (1, 2):
        batches = list(split.shuffled(16, 0, epoch))
        for ours, theirs in zip(batches, plain.shuffled(16, 0, epoch), strict=True):
            assert theirs.further is None
            for name, tensor in theirs.tensors().items():
                assert torch.equal(getattr(ours, name), tensor)
            stored = [view[ours.images].float() for view in split.features]
            first = (ours.further[0] == stored[0]).all(1)
            assert torch.equal(ours.further[0], torch.where(first[:, None], *stored))
            other = torch.where(first[:, None], *stored[::-1])
            assert torch.equal(ours.further[1], other)
            drawn.append(first)
    share = torch.cat(drawn).float().mean()
    assert 0.3 < share < 0.7
    again = next(split.shuffled(16, 0, 1)).further
    assert torch.equal(again, next(split.shuffled(16, 0, 1)).further)
    assert next(split.batches(16)).further is None


def test_one_view_alone_is_one_line(tmp_path, capsys):
    files = tiny.write_files(tmp_path)
    with pytest.raises(UserError, match=r"encoder\.views .* \[full, flip\]"):
        make(files, head="linear", transfer="scpnet")
    changed = {"head": "scpnet", "loss": "splc", "transfer": "scpnet"}
    assert run(files, tmp_path / "run", **changed) == 1
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1 and "compares 2 different views of each image" in said[0]
    assert not list((tmp_path / "run").glob("*.safetensors"))


def test_it_trains_on_any_head_and_its_state_is_part_of_the_run(tmp_path):
    files = tiny.write_files(tmp_path, views=2)
    known = torch.from_numpy(np.load(files.known))
    for head in ({"head": "scpnet", "loss": "splc"}, {"visual": "global"}):
        method, training, test, options = make(files, **head, transfer="scpnet")
        train_quietly(method, options, training, test)
        selected = method.transfer.selected
        assert torch.equal(method.transfer.counts, selected.sum(dim=0))
        assert selected.any() and not selected[known < 0].any()
