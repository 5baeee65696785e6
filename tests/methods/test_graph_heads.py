"""SSGRL and KGGR: the heads with graph networks equal public code."""

import pytest
import torch

from mlrpl.methods.decoupling import Decoupling
from mlrpl.methods.gated_graph import GatedGraph
from mlrpl.methods.heads.ggnn import GatedGraphHead, Reduction
from mlrpl.methods.heads.kggr import KnowledgeGraphHead
from mlrpl.methods.inputs import Inputs
from mlrpl.methods.losses.p_bce import PartialBCE
from mlrpl.methods.scores import sigmoid
from support.public_weights import (
    DECOUPLING,
    GRAPH,
    HEAD,
    KGGR,
    as_map,
    check_gradients,
    fill,
    graph_head,
    inputs_of,
    read,
)

ORIGINAL_GRAPH = {
    our: f"fc_eq{2 + int(public[3])}_{public[5]}" for our, public in GRAPH.items()
}
ORIGINAL = {
    "decoupling.U": "sem.fc_1",
    "decoupling.V": "sem.fc_2",
    "decoupling.P": "sem.fc_3",
    "decoupling.F_att": "sem.fc_a",
    **{f"graph_network.{our}": f"gg.{name}" for our, name in ORIGINAL_GRAPH.items()},
    "output": "fc",
    "classifier": "cl",
}


def close(found, expected):
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def check_head(head, data, names, loss_name):
    """Logits in both modes, the loss of partial BCE, gradients."""
    head.eval()
    x = as_map(data["x"]).requires_grad_()
    with torch.no_grad():
        logits = head.logits(head.class_features(x), head.prepare())
    close(logits, data["logits_eval"])
    head.train()
    features = head.class_features(x)
    logits = head.logits(features, head.prepare())
    close(logits, data["logits_train"])
    loss = PartialBCE()(sigmoid(logits), data["y"].to(torch.int8))
    close(loss, data[loss_name])
    loss.backward()
    close(x.grad, as_map(data["g.x"]))
    check_gradients(head, data, names)
    return features


def test_semantic_decoupling_is_the_public_codes(oracles):
    data = read(oracles, "hcp_semantic_decoupling")
    module = Decoupling(8, data["words"], 6)
    fill(module, data, DECOUPLING)
    x = as_map(data["x"]).requires_grad_()
    attention = module.attention(x)
    close(attention, data["coefficient"].flatten(1, 2).transpose(1, 2))
    out = attention @ x
    close(out, data["out"])
    (out * data["cotangent"]).sum().backward()
    close(x.grad, as_map(data["g.x"]))
    check_gradients(module, data, DECOUPLING)


@pytest.mark.parametrize(
    ("name", "names", "gate"),
    [
        ("hcp_gated_gnn", GRAPH, "own"),
        ("ssgrl_ggnn_with_reset_gate_bug", ORIGINAL_GRAPH, "update"),
    ],
)
def test_the_gated_graph_network_is_the_public_codes(oracles, name, names, gate):
    data = read(oracles, name)
    module = GatedGraph(8, data["P"], 3, gate)
    fill(module, data, names)
    x = data["x"].clone().requires_grad_()
    out = module(x)
    close(out, data["out"])
    (out * data["cotangent"]).sum().backward()
    close(x.grad, data["g.x"])
    check_gradients(module, data, names)


def test_the_head_of_ssgrl_is_the_labs(oracles):
    data = read(oracles, "hcp_ssgrl_pl")
    head = graph_head(data)
    features = check_head(head, data, HEAD, "loss_bce")
    close(features, data["semantic_feature_train"])
    close(head.reduction.norm.running_mean, data["running_mean_after"])
    # torch's convention: the unbiased variance.
    close(head.reduction.norm.running_var, data["running_var_after"])


def test_the_original_ssgrl_is_an_option(oracles):
    data = read(oracles, "ssgrl_original_head")
    head = GatedGraphHead(
        inputs_of(data, "words"),
        reduce_dim=0,
        attention_dim=6,
        output_dim=9,
        graph_steps=3,
        reset_gate="update",
        unseen_classes="alone",
    )
    fill(head, data, ORIGINAL)
    head.graph_network.edges.copy_(data["P"])
    x = as_map(data["x"]).requires_grad_()
    logits = head.logits(head.class_features(x), None)
    close(logits, data["logits"])
    labels = torch.where(data["y_full"] > 0, 1, -1)
    loss = PartialBCE()(sigmoid(logits), labels)
    close(loss, data["loss_bce_mean"])
    loss.backward()
    close(x.grad, as_map(data["g.x"]))
    check_gradients(head, data, ORIGINAL)


def test_kggr_with_the_product_is_the_public_codes(oracles):
    data = read(oracles, "kggr_head")
    head = graph_head(data, KnowledgeGraphHead, KGGR, kggr_classifier="product")
    check_head(head, data, KGGR, "loss_partial_bce")


def test_kggr_with_propagated_classifiers_uses_them_once(oracles):
    data = read(oracles, "kggr_head")
    head = graph_head(data, KnowledgeGraphHead, KGGR, kggr_classifier="propagated")
    twice = graph_head(data, KnowledgeGraphHead, KGGR, kggr_classifier="product")
    outputs = torch.randn(2, 5, 8)
    start = head.classifier.weight
    found = head.classified(outputs, head.prepare())
    close(head.prepare() * start, twice.prepare())
    expected = (
        torch.einsum("bcd,cd->bc", outputs, head.prepare()) + head.classifier.bias
    )
    close(found, expected)


def test_the_evidence_sums_to_the_class_features(oracles):
    data = read(oracles, "hcp_ssgrl_pl")
    head = graph_head(data).eval()
    found = head.located(as_map(data["x"]))
    close(found.class_features, head.class_features(as_map(data["x"])))
    # Each is a sum over the locations: of the map's channels, and of the features.
    close(found.evidence.sum(-1), found.class_features.sum(-1))


def test_one_location_of_one_image_is_normalised_as_in_a_test():
    torch.manual_seed(0)
    module = Reduction(6, 4)
    module(torch.randn(8, 3, 6))  # statistics to use
    one = torch.randn(1, 1, 6)
    before = module.norm.running_mean.clone()
    found = module(one)
    assert torch.equal(module.norm.running_mean, before)
    close(found, module.eval()(one))
    assert torch.isfinite(module.train()(torch.randn(1, 3, 6))).all()


@pytest.mark.parametrize("classes", [1, 4])
def test_a_class_without_a_known_positive_has_finite_logits(classes):
    known = torch.full((10, classes), -1, dtype=torch.int8)
    known[:3, 1:] = 1
    inputs = Inputs(6, 3, torch.randn(classes, 5), clip=None, known=known)
    sizes = {"reduce_dim": 4, "attention_dim": 3, "output_dim": 4, "graph_steps": 3}
    x = torch.randn(2, 9, 6)
    for unseen in ("alone", "nan"):
        head = GatedGraphHead(inputs, **sizes, unseen_classes=unseen)
        logits = head.logits(head.class_features(x), None)
        assert torch.isfinite(logits).all() == (unseen == "alone")
