"""The module against a literal implementation of Eq. 3-6."""

import pytest
import torch
from torch import nn

from mlrpl.methods.inputs import Inputs
from mlrpl.methods.kernels import bilinear_attention as bilinear
from mlrpl.methods.visual.semantic_attention import SemanticAttention
from mlrpl.methods.visual.semantic_decoupling import SemanticDecoupling

B, L, K, C, G, J, D = 5, 9, 12, 4, 7, 16, 6
PAPER = Inputs(2048, 512, torch.zeros(80, 300), clip=None)


def inputs() -> Inputs:
    """The sizes above, with class vectors drawn anew."""
    return Inputs(K, D, torch.randn(C, G), clip=None)


class LiteralDecoupling(nn.Module):
    """Eq. 3-6 term by term, with the [B, L, C, J] tensor and P applied to it."""

    def __init__(self, module: SemanticDecoupling):
        super().__init__()
        self.pooled = module.pooled
        self.x = module.class_vectors
        for name in ("U", "V", "P", "F_att", "to_text"):
            source = getattr(module, name)
            copy = nn.Linear(
                source.in_features, source.out_features, source.bias is not None
            )
            copy.load_state_dict(source.state_dict())
            setattr(self, name, copy)

    def forward(self, f):
        locations = range(f.shape[1])
        fused = torch.stack(
            [
                torch.stack(
                    [  # Eq. 3
                        self.P(torch.tanh(self.U(f[:, location]) * self.V(x)))
                        for location in locations
                    ],
                    dim=1,
                )
                for x in self.x
            ],
            dim=2,
        )
        logit = self.F_att(fused)[..., 0]  # Eq. 4
        a = logit.exp() / logit.exp().sum(dim=1, keepdim=True)  # Eq. 5
        pooled = []
        for c in range(len(self.x)):
            source = fused[:, :, c] if self.pooled == "fused" else f
            pooled.append((a[:, :, c, None] * source).sum(dim=1))  # Eq. 6
        return self.to_text(torch.stack(pooled, dim=1)), a.transpose(1, 2)


# Entries in a chunk, as images with all their locations.
CHUNKS = {"one chunk": 1000, "two classes": 2 * B, "one class": B, "one image": 1}


@pytest.fixture(params=["at once", *CHUNKS])
def chunks(request, monkeypatch):
    if request.param != "at once":
        monkeypatch.setattr(bilinear, "KEEP", 0)
        monkeypatch.setattr(bilinear, "CHUNK_CPU", CHUNKS[request.param] * L * J)


@pytest.mark.parametrize(
    ("images", "parts"), [(1000, 1), (2 * B, -(-C // 2)), (B, C), (2, -(-B // 2) * C)]
)
def test_chunks_cover_everything_once(images, parts, monkeypatch):
    monkeypatch.setattr(bilinear, "CHUNK_CPU", images * L * J)
    covered = torch.zeros(B, C, dtype=int)
    found = list(bilinear._parts(torch.empty(B, L, J), torch.empty(C, J)))
    for i, c in found:
        covered[i, c] += 1
        assert covered[i, c].numel() <= images
    assert (covered == 1).all()
    assert len(found) == parts


@pytest.mark.parametrize("locations", [L, C - 1])
@pytest.mark.parametrize("pooled", ["fused", "raw"])
def test_values_and_gradients_equal_the_literal_module(pooled, locations, chunks):
    torch.manual_seed(0)
    module = SemanticDecoupling(inputs(), joint_dim=J, pooled=pooled)
    literal = LiteralDecoupling(module)
    features = torch.randn(B, locations, K)
    weights = torch.randn(B, C, D)
    ours = module(features)
    theirs, attention = literal(features)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(module.attention(features), attention)
    (ours.sin() * weights).sum().backward()
    (theirs.sin() * weights).sum().backward()
    expected = dict(literal.named_parameters())
    assert set(expected) == {name for name, _ in module.named_parameters()}
    for name, parameter in module.named_parameters():
        ours_grad = parameter.grad
        if ours_grad is None:  # a bias that the softmax over the locations removes
            ours_grad = torch.zeros_like(parameter)
        torch.testing.assert_close(
            ours_grad, expected[name].grad, rtol=1e-4, atol=1e-6, msg=name
        )


def test_the_attention_passes_a_numerical_gradient_check(chunks):
    torch.manual_seed(1)
    arguments = [
        torch.randn(3, 4, 5, dtype=torch.double, requires_grad=True),
        torch.randn(2, 5, dtype=torch.double, requires_grad=True),
        torch.randn(5, dtype=torch.double, requires_grad=True),
    ]
    assert torch.autograd.gradcheck(bilinear.bilinear_attention, arguments)


@pytest.mark.parametrize(
    ("pooled", "expected"),
    [
        # 2048 x 1024 + 300 x 1024 + (1024^2 + 1024) + (1024 + 1), then the map to 512.
        ("fused", 3_454_977 + 1024 * 512 + 512),
        ("raw", 3_454_977 + 2048 * 512 + 512),
    ],
)
def test_the_parameters_are_those_of_the_printed_equations(pooled, expected):
    module = SemanticDecoupling(PAPER, joint_dim=1024, pooled=pooled)
    assert sum(p.numel() for p in module.parameters()) == expected


def test_attention_sums_to_one_and_follows_the_class():
    torch.manual_seed(0)
    module = SemanticDecoupling(inputs(), joint_dim=J)
    attention = module.attention(torch.randn(B, L, K))
    torch.testing.assert_close(attention.sum(-1), torch.ones(B, C))
    assert (attention[:, 0] - attention[:, 1]).abs().max() > 1e-4


def test_semantic_attention_equals_two_convolutions():
    torch.manual_seed(0)
    module = SemanticAttention(inputs(), joint_dim=J)
    image = torch.randn(B, K, 3, 3)
    with torch.no_grad():
        maps = nn.functional.conv2d(image, module.activation.weight[:, :, None, None])
        transformed = nn.functional.conv2d(
            image, module.transform.weight[:, :, None, None], module.transform.bias
        )
        mask = maps.sigmoid().flatten(2)
        vectors = torch.einsum("bcl,bjl->bcj", mask, transformed.flatten(2))
        expected = module.to_text(vectors)
        ours = module(image.flatten(2).transpose(1, 2))
    torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-5)
    # ADD-GCN's two convolutions at the paper's sizes: 2048 C + 2048 x 1024 + 1024.
    paper = SemanticAttention(PAPER, joint_dim=1024)
    convolutions = [*paper.activation.parameters(), *paper.transform.parameters()]
    assert sum(p.numel() for p in convolutions) == 2_262_016
