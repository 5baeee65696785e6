"""GCN-ML and the co-occurrences of known labels equal public code."""

import numpy as np
import pytest
import torch

from mlrpl.methods.cooccurrence import conditional, counts
from mlrpl.methods.heads import gcn
from mlrpl.methods.heads.gcn import GraphConvolutionHead, adjacency
from mlrpl.methods.inputs import Inputs
from mlrpl.methods.losses.p_bce import PartialBCE
from mlrpl.methods.scores import sigmoid
from support.public_weights import read


def close(found, expected):
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_cooccurrences_are_the_public_codes(oracles):
    data = read(oracles, "hcp_cooccurrence")
    labels, expected = data["labels"], data["P_with_nan_row"]
    found = conditional(labels, "nan")
    torch.testing.assert_close(found, expected, equal_nan=True)
    alone = conditional(labels)
    close(alone[[0, 1, 2, 3, 5]], expected[[0, 1, 2, 3, 5]])
    assert torch.equal(alone[4], torch.eye(6)[4])


def test_they_count_only_what_is_known_to_be_there(oracles):
    labels = np.load(oracles / "voc2007_known_label_masks.npz")["full"]
    full = torch.from_numpy(labels.astype(np.int8))
    kept = torch.rand(full.shape, generator=torch.Generator().manual_seed(0)) < 0.3
    found = counts(full * kept)
    expected = torch.zeros_like(found)
    for row in full * kept:
        present = (row == 1).nonzero()[:, 0]
        for i in present:
            expected[i, present] += 1
    assert torch.equal(found, expected)
    # What is known to be absent, or dropped, counts for nothing.
    assert torch.equal(found, counts(torch.where(full * kept > 0, 1, 0)))


def test_the_adjacency_is_the_public_codes(oracles):
    data = read(oracles, "mlgcn_head")
    both = data["adj"] + torch.diag(data["nums"])
    close(adjacency(both, float(data["threshold"]), 0.25), data["A_hat"])


def head_of(data, feature="raw"):
    classes, channels = len(data["words"]), data["x"].shape[1]
    inputs = Inputs(channels, 3, data["words"], clip=None, known=torch.ones(2, classes))
    head = GraphConvolutionHead(
        inputs, gcn_dim=6, gcn_threshold=0.4, gcn_weight=0.25, gcn_feature=feature
    )
    head.load_state_dict(
        {"first": data["w.gc1.weight"], "second": data["w.gc2.weight"]}
    )
    head.adjacency.copy_(data["A_hat"])
    return head


@pytest.mark.parametrize(
    ("labels", "prefix", "loss"),
    [
        ("y_full", "softmargin.g.", "loss_softmargin"),
        ("y_partial", "partial.g.", "loss_partial_bce"),
    ],
)
def test_the_head_is_the_public_codes(oracles, labels, prefix, loss):
    data = read(oracles, "mlgcn_head")
    head = head_of(data)
    x = data["x"].clone().requires_grad_()
    features = head.class_features(x.amax(dim=(2, 3)))
    logits = head.logits(features, head.prepare())
    close(logits, data["logits"])
    target = data[labels]
    if labels == "y_full":  # the mean over all entries is the soft-margin loss
        target = torch.where(target > 0, 1.0, -1.0)
    found = PartialBCE()(sigmoid(logits), target.to(torch.int8))
    close(found, data[loss])
    found.backward()
    close(head.first.grad, data[f"{prefix}gc1.weight"])
    close(head.second.grad, data[f"{prefix}gc2.weight"])
    close(x.grad, data["g.x" if labels == "y_full" else "partial.g.x"])


def test_the_scale_of_the_feature_can_be_taken_out(oracles):
    data = read(oracles, "mlgcn_head")
    x = data["x"].amax(dim=(2, 3))
    found = head_of(data, "normalised").class_features(17 * x)
    close(found.square().sum(-1), torch.full((len(x),), float(x.shape[1])))
    close(torch.nn.functional.cosine_similarity(found, x), torch.ones(len(x)))


def test_classes_that_are_never_seen_have_no_neighbours():
    known = torch.tensor([[1, 1, 0], [1, 0, -1]], dtype=torch.int8)
    found = adjacency(counts(known), 0.4, 0.25)
    assert torch.equal(found[2], torch.tensor([0.0, 0.0, 1.0]))
    assert torch.isfinite(found).all()
    assert torch.isfinite(adjacency(counts(known[:, :1]), 0.4, 0.25)).all()


def test_the_oracle_catches_an_adjacency_that_is_not_transposed(oracles, monkeypatch):
    data = read(oracles, "mlgcn_head")
    head = head_of(data)
    head.adjacency.copy_(data["A_hat"].T)
    features = data["x"].amax(dim=(2, 3))
    wrong = head.logits(head.class_features(features), head.prepare())
    assert (wrong - data["logits"]).abs().max() > 1e-3
    monkeypatch.setattr(gcn, "SLOPE", 0.01)
    wrong = head_of(data).prepare() @ features.T
    assert (wrong.T - data["logits"]).abs().max() > 1e-3
