"""The gated graph network against its formula, node by node."""

import pytest
import torch

from mlrpl.methods.gated_graph import GatedGraph

C, D = 4, 3


def literal(module, states):
    """The states [C, D] after all steps, from sums over the edges of each class."""
    edges = module.edges
    reset_state = module.reset_state or module.update_state
    for _ in range(module.steps):
        after = []
        for c in range(C):
            out = sum(edges[c, k] * states[k] for k in range(C))
            back = sum(edges[k, c] * states[k] for k in range(C))
            a = torch.cat((out, back))
            h = states[c]
            z = 1 / (1 + torch.exp(-module.update_in(a) - module.update_state(h)))
            r = 1 / (1 + torch.exp(-module.reset_in(a) - reset_state(h)))
            candidate = torch.tanh(module.new_in(a) + module.new_state(r * h))
            after.append((1 - z) * h + z * candidate)
        states = torch.stack(after)
    return states


@pytest.fixture(params=[("own", 3), ("update", 3), ("own", 1)])
def module(request):
    torch.manual_seed(0)
    gate, steps = request.param
    edges = torch.rand(C, C, dtype=torch.float64)
    return GatedGraph(D, edges, steps, gate).double()


def test_values_are_those_of_the_formula(module):
    states = torch.randn(2, 5, C, D, dtype=torch.float64)
    found = module(states)
    for i in range(2):
        for j in range(5):
            torch.testing.assert_close(found[i, j], literal(module, states[i, j]))
    # Without images, as the classifiers of KGGR.
    torch.testing.assert_close(module(states[0, 0]), found[0, 0])


def test_gradients_pass_a_numerical_check(module):
    states = torch.randn(2, C, D, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(module, (states,))
    # The weight that the original code's slip uses twice.
    weight = module.update_state.weight
    assert torch.autograd.gradcheck(lambda _: module(states), (weight,))


def test_the_graph_is_frozen_and_belongs_to_no_checkpoint(module):
    assert "edges" not in module.state_dict()
    assert not module.edges.requires_grad
    # Six maps; the original code's reset gate has no matrix of its own for the state.
    maps = 5 if module.reset_state is None else 6
    expected = 3 * (2 * D * D + D) + (maps - 3) * (D * D + D)
    assert sum(p.numel() for p in module.parameters()) == expected


def test_the_gates_are_fp32_under_autocast():
    torch.manual_seed(0)
    module = GatedGraph(D, torch.rand(C, C), 3)
    states = torch.randn(2, C, D)
    with torch.autocast("cpu", torch.bfloat16):
        found = module(states)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, module(states), rtol=0, atol=0.05)
