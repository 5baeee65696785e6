"""Where a class is: the evidence of the modules that attend to the map's locations."""

import pytest
import torch

from mlrpl.methods.decoupling import Decoupling, evidence
from mlrpl.methods.inputs import Inputs
from mlrpl.methods.visual.semantic_attention import SemanticAttention
from mlrpl.methods.visual.semantic_decoupling import SemanticDecoupling

B, L, K, C, G, J, D = 3, 6, 5, 4, 7, 8, 2
MODULES = {
    "fused": lambda inputs: SemanticDecoupling(inputs, joint_dim=J, pooled="fused"),
    "raw": lambda inputs: SemanticDecoupling(inputs, joint_dim=J, pooled="raw"),
    "mask": lambda inputs: SemanticAttention(inputs, joint_dim=J),
}


def weights(module, features):
    """The share of each location in each class, [B, C, L], from its equation."""
    if isinstance(module, SemanticAttention):
        logit = features @ module.activation.weight.T
        return (1 / (1 + torch.exp(-logit))).transpose(1, 2)
    u, v = features @ module.U.weight.T, module.class_vectors @ module.V.weight.T
    joint = torch.tanh(u[:, None] * v[:, None])  # [B, C, L, J]
    logit = module.F_att(module.P(joint))[..., 0]
    return logit.exp() / logit.exp().sum(dim=-1, keepdim=True)


@pytest.mark.parametrize("kind", MODULES)
def test_the_evidence_is_of_the_map_by_location(kind):
    torch.manual_seed(0)
    module = MODULES[kind](Inputs(K, D, torch.randn(C, G), clip=None))
    features = torch.randn(B, L, K)
    found = module.located(features)
    assert torch.equal(found.class_features, module(features))
    share = weights(module, features)
    expected = torch.einsum("bcl,blk->bcl", share, features)
    torch.testing.assert_close(found.evidence, expected, rtol=1e-5, atol=1e-5)
    # A place is no number to learn from.
    assert not found.evidence.requires_grad
    assert found.class_features.requires_grad


def test_the_evidence_peaks_where_the_class_is():
    attention = torch.tensor([[[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]]])
    features = torch.tensor([[[1.0, 1.0], [4.0, 1.0], [0.5, 0.0]]])
    found = evidence(attention, features)
    expected = torch.tensor([[[1.0, 1.5, 0.1], [0.2, 0.5, 0.4]]])
    torch.testing.assert_close(found, expected)


def test_the_start_is_drawn_in_the_order_of_the_equations():
    torch.manual_seed(5)
    module = Decoupling(K, torch.zeros(C, G), J)
    torch.manual_seed(5)
    expected = {
        "U": torch.nn.Linear(K, J, bias=False),
        "V": torch.nn.Linear(G, J, bias=False),
        "P": torch.nn.Linear(J, J),
        "F_att": torch.nn.Linear(J, 1),
    }
    names = [
        f"{name}.{leaf}" for name, m in expected.items() for leaf in m.state_dict()
    ]
    assert list(module.state_dict()) == names
    for name, source in expected.items():
        for leaf, tensor in source.state_dict().items():
            assert torch.equal(module.state_dict()[f"{name}.{leaf}"], tensor)


def test_gradients_pass_a_numerical_check():
    torch.manual_seed(1)
    module = Decoupling(K, torch.randn(C, G), J).double()
    features = torch.randn(2, 3, K, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda features: module.attention(features) @ features, (features,)
    )
