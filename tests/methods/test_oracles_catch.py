"""Likely errors in the heads, made on purpose: public code's numbers catch each.

What these heads compute without the error is in `test_graph_heads` and
`test_graph_convolution`.
"""

import pytest
import torch

from mlrpl.methods.cooccurrence import counts
from mlrpl.methods.gated_graph import GatedGraph
from mlrpl.methods.heads.gcn import adjacency
from mlrpl.methods.heads.kggr import KnowledgeGraphHead
from support.public_weights import GRAPH, KGGR, as_map, fill, graph_head, read

# Against the 1e-5 up to which the heads equal public code.
CAUGHT = 1e-3
SLIGHT = 1e-4  # by what acts on a small part of the result


def off(found, expected) -> float:
    """The largest difference."""
    return float((found - expected).detach().abs().max())


def logits(head, data):
    return head.logits(head.class_features(as_map(data["x"])), head.prepare())


@pytest.fixture(params=["ssgrl", "kggr"])
def case(request, oracles):
    """A head that equals public code in a test, and the oracle."""
    if request.param == "ssgrl":
        data = read(oracles, "hcp_ssgrl_pl")
        head = graph_head(data)
    else:
        data = read(oracles, "kggr_head")
        head = graph_head(data, KnowledgeGraphHead, KGGR, kggr_classifier="product")
    assert off(logits(head.eval(), data), data["logits_eval"]) < 1e-5
    return head, data


def test_a_graph_the_wrong_way_round(case):
    head, data = case
    head.graph_network.edges.copy_(data["w.inMatrix"].T)
    assert off(logits(head, data), data["logits_eval"]) > CAUGHT


def test_the_statistics_of_the_batch_in_a_test_and_of_the_past_in_training(case):
    head, data = case
    assert off(logits(head, data), data["logits_train"]) > CAUGHT
    assert off(logits(head.train(), data), data["logits_eval"]) > CAUGHT


def test_features_before_states(case):
    head, data = case
    for layer in (head.output, getattr(head, "classifier_output", None)):
        if layer is None:
            continue
        right = layer.weight.detach().clone()
        with torch.no_grad():
            layer.weight.copy_(right.roll(right.shape[1] // 2, dims=1))
            assert off(logits(head, data), data["logits_eval"]) > CAUGHT
            layer.weight.copy_(right)


@pytest.mark.parametrize("steps", [2, 4])
def test_another_number_of_steps(case, steps):
    head, data = case
    head.graph_network.steps = steps
    assert off(logits(head, data), data["logits_eval"]) > CAUGHT


def test_attention_over_the_classes(case, monkeypatch):
    head, data = case
    x = as_map(data["x"])
    attention = head.decoupling.attention(head.reduction(x))
    over = attention.log().softmax(dim=1)
    monkeypatch.setattr(head.decoupling, "attention", lambda features: over)
    assert off(logits(head, data), data["logits_eval"]) > CAUGHT


def test_running_variance_without_bessels_correction(oracles):
    data = read(oracles, "hcp_ssgrl_pl")
    head = graph_head(data).train()
    before = head.reduction.norm.running_var.clone()
    seen = head.reduction.channels(as_map(data["x"])).flatten(0, 1)
    wrong = 0.9 * before + 0.1 * seen.var(dim=0, correction=0)
    head.class_features(as_map(data["x"]))
    assert off(head.reduction.norm.running_var, data["running_var_after"]) < 1e-5
    assert off(wrong, data["running_var_after"]) > SLIGHT


def test_propagated_classifiers_for_the_product(oracles):
    data = read(oracles, "kggr_head")
    head = graph_head(data, KnowledgeGraphHead, KGGR, kggr_classifier="propagated")
    assert off(logits(head.eval(), data), data["logits_eval"]) > CAUGHT


def test_a_graph_the_wrong_way_round_for_the_classifiers_alone(oracles):
    data = read(oracles, "kggr_head")
    head = graph_head(data, KnowledgeGraphHead, KGGR, kggr_classifier="product")
    head.classifier_network.edges.copy_(data["w.inMatrix"].T)
    assert off(logits(head.eval(), data), data["logits_eval"]) > SLIGHT


@pytest.mark.parametrize(
    ("name", "gate", "start"),
    [
        ("hcp_gated_gnn", "update", 0),
        ("ssgrl_ggnn_with_reset_gate_bug", "own", 2),
    ],
)
def test_the_reset_gate_of_the_other_code(oracles, name, gate, start):
    data = read(oracles, name)
    module = GatedGraph(8, data["P"], 3, gate)
    prefix = "eq" if start else ""
    names = {
        our: f"fc_{prefix}{start + int(public[3])}_{public[5]}"
        for our, public in GRAPH.items()
    }
    fill(module, data, names)
    assert off(module(data["x"]), data["out"]) > CAUGHT


def test_the_adjacency_of_another_code(oracles):
    """That of WS-MLR divides by the other class's count, and shares no weight."""
    data = read(oracles, "mlgcn_adjacency_wsmlr_variant")
    found = adjacency(counts(data["labels"]), 0.4, 0.25)
    assert off(found, data["A_hat"]) > CAUGHT


def test_probabilities_by_the_other_class(oracles):
    data = read(oracles, "mlgcn_head")
    threshold = float(data["threshold"])
    both = data["adj"] + torch.diag(data["nums"])
    assert off(adjacency(both, threshold, 0.25), data["A_hat"]) < 1e-5
    # Counts scaled so that their rows' probabilities are those of the columns.
    single = data["nums"]
    wrong = both * single[:, None] / single
    wrong = wrong - torch.diag(wrong.diagonal()) + torch.diag(single)
    assert off(adjacency(wrong, threshold, 0.25), data["A_hat"]) > CAUGHT


def test_a_shared_weight_of_the_paper_where_the_code_has_another(oracles):
    data = read(oracles, "mlgcn_head")
    both = data["adj"] + torch.diag(data["nums"])
    found = adjacency(both, float(data["threshold"]), 0.2)
    assert off(found, data["A_hat"]) > CAUGHT
