"""SCPNet's graph and classifiers equal public code."""

import pytest
import torch
import torch.nn.functional as F

from mlrpl.methods.class_graph import prior
from mlrpl.methods.heads.scpnet import StructuredPriorHead
from mlrpl.methods.inputs import Inputs
from mlrpl.text.clip_text import ClipText
from support import tiny
from support.public_weights import read

OPTIONS = {
    "prompts": "shared",
    "n_ctx": 2,
    "context_std": 0.02,
    "period": True,
    "prior_top": 2,
    "lr_prior": 1,
    "prior_dim": 7,
}


def close(found, expected):
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.fixture(scope="module")
def head(tmp_path_factory):
    clip = ClipText(tiny.write_clip(tmp_path_factory.mktemp("clip") / "clip"))
    classes = torch.zeros(len(tiny.CLASSES), 2)
    return StructuredPriorHead(Inputs(1, tiny.DIM, classes, clip=clip), **OPTIONS)


def test_the_graph_is_the_public_codes(oracles):
    data = read(oracles, "scpnet_head")
    close(prior(data["relation_raw"], int(data["sparse_topk"])), data["gcn_relation"])


def test_the_classifiers_are_the_public_codes(oracles, head):
    data = read(oracles, "scpnet_head")
    weights = [data[f"w.gc{number}"].clone() for number in (1, 2, 3)]
    head.layers = torch.nn.ParameterList(weights)
    head.joined = data["gcn_relation"]
    image = data["image"].clone().requires_grad_()
    logits = head.logits(head.class_features(image), head.passed_on(data["text"]))
    close(logits, data["logits"])
    (logits * data["cotangent"]).sum().backward()
    close(image.grad, data["g.image"])
    for number, weight in enumerate(head.layers, start=1):
        close(weight.grad, data[f"g.gc{number}"])


def test_published_graphs_have_rows_of_one(oracles):
    data = read(oracles, "scpnet_published_relation")
    for name, top in (("voc_20x20", 20), ("coco_80x80", 62)):
        graph = prior(data[name], top)
        close(graph.sum(dim=1), torch.ones(len(graph)))
        close(graph.diagonal(), torch.full((len(graph),), 0.8))
        assert ((graph > 0).sum(dim=1) == top).all()


def test_the_graph_is_of_the_names_and_a_single_class_is_alone(tmp_path):
    clip = ClipText(tiny.write_clip(tmp_path / "clip"))
    inputs = Inputs(1, tiny.DIM, torch.zeros(3, 2), clip=clip)
    made = StructuredPriorHead(inputs, **{**OPTIONS, "n_ctx": 0})
    text = F.normalize(made.tower(*made.prompts()), dim=-1)
    close(made.joined, prior(text @ text.T, 2))
    close(prior(torch.ones(1, 1), 5), torch.tensor([[0.8]]))


def test_the_convolutions_have_a_rate_of_their_own(tmp_path):
    clip = ClipText(tiny.write_clip(tmp_path / "clip"))
    inputs = Inputs(1, tiny.DIM, torch.zeros(3, 2), clip=clip)
    context, layers = StructuredPriorHead(inputs, **{**OPTIONS, "lr_prior": 5}).groups()
    assert (context.factor, len(context.parameters)) == (1, 1)
    assert (layers.factor, len(layers.parameters)) == (5, 3)
