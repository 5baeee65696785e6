"""The fused updates against torch's optimiser classes."""

import io
import subprocess
import sys

import pytest
import torch

from mlrpl.training.optimizers import SGD, Adam, AdamW, Group

RATES = [0.002, 0.001, 0.004, 0.002, 0.002, 0.0002]
MOMENTA = [0.95, 0.9, 0.85, 0.86, 0.9, 0.95]
FACTORS = (3.0, 1.0)
KINDS = ["sgd", "sgd without momentum", "adam", "adamw"]

ADAMS = {"adam": (Adam, torch.optim.Adam), "adamw": (AdamW, torch.optim.AdamW)}

# Which parameters have a gradient, step for step.
ALL = [(0, 1, 2)] * 6
CASES = {
    "all": ALL,
    "one never": [(0, 1)] * 6,
    "one late": [(0, 1), (0, 1), *ALL[2:]],
    "one stops": [*ALL[:2], (0, 1), (0, 1), (0, 1), (0, 1)],
    "in turns": [(0,), (1,), (0, 2), (), (1, 2), (0, 1, 2)],
}


def parameters():
    generator = torch.Generator().manual_seed(0)
    sizes = ((7, 5), (5,), (3, 2, 2))
    return [torch.nn.Parameter(torch.randn(*s, generator=generator)) for s in sizes]


def make(kind, ours, weight_decay=0.05, clip_norm=0):
    groups = [Group(ours[:1], FACTORS[0]), Group(ours[1:], FACTORS[1])]
    if kind in ADAMS:
        return ADAMS[kind][0](groups, weight_decay, clip_norm)
    return SGD(groups, 0.9 if kind == "sgd" else 0, weight_decay, clip_norm)


def make_torchs(kind, theirs, weight_decay=0.05):
    groups = [{"params": theirs[:1]}, {"params": theirs[1:]}]
    more = {"lr": 1.0, "weight_decay": weight_decay, "foreach": False}
    if kind in ADAMS:
        return ADAMS[kind][1](groups, **more)
    return torch.optim.SGD(groups, momentum=0.9 if kind == "sgd" else 0, **more)


def set_gradients(parameters, step, which):
    """Gradients that depend on the step and on the parameters."""
    for number, parameter in enumerate(parameters):
        generator = torch.Generator().manual_seed(10 * step + number)
        gradient = torch.randn(parameter.shape, generator=generator)
        gradient += 0.5 * parameter.detach()
        parameter.grad = gradient if number in which else None


def advance(optimizer, ours, case, first, last):
    for step in range(first, last):
        set_gradients(ours, step, CASES[case][step])
        optimizer.step(RATES[step])
        assert all(p.grad is None for p in ours)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("kind", KINDS)
def test_steps_are_torchs(kind, case):
    ours, theirs = parameters(), parameters()
    optimizer, reference = make(kind, ours), make_torchs(kind, theirs)
    for step, rate in enumerate(RATES):
        before = [p.detach().clone() for p in ours]
        advance(optimizer, ours, case, step, step + 1)
        for group, factor in zip(reference.param_groups, FACTORS, strict=True):
            group["lr"] = rate * factor
        set_gradients(theirs, step, CASES[case][step])
        reference.step()
        for number, (mine, other) in enumerate(zip(ours, theirs, strict=True)):
            torch.testing.assert_close(mine, other, rtol=2e-5, atol=1e-6)
            # No gradient, no step, and no weight decay either.
            moved = number in CASES[case][step]
            assert torch.equal(mine, before[number]) != moved


@pytest.mark.parametrize("kind", KINDS)
def test_a_momentum_that_changes_is_torchs(kind):
    """As a single cycle has it: Adam's first beta, SGD's momentum."""
    ours, theirs = parameters(), parameters()
    optimizer, reference = make(kind, ours), make_torchs(kind, theirs)
    for step, (rate, momentum) in enumerate(zip(RATES, MOMENTA, strict=True)):
        for values in (ours, theirs):
            set_gradients(values, step, ALL[step])
        optimizer.step(rate, momentum)
        for group, factor in zip(reference.param_groups, FACTORS, strict=True):
            changed = {"betas": (momentum, 0.999)} if kind in ADAMS else {}
            group.update(changed or {"momentum": momentum}, lr=rate * factor)
        reference.step()
        for mine, other in zip(ours, theirs, strict=True):
            torch.testing.assert_close(mine, other, rtol=2e-5, atol=1e-6)
    optimizer.step(0.1)
    assert optimizer.momentum == MOMENTA[-1]


@pytest.mark.parametrize("saved_after", range(len(RATES)))
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_restored_optimizer_goes_on_to_the_same_bits(kind, case, saved_after):
    ours = parameters()
    optimizer = make(kind, ours)
    advance(optimizer, ours, case, 0, saved_after)
    file = io.BytesIO()
    torch.save(optimizer.state_dict(), file)
    again = [torch.nn.Parameter(p.detach().clone()) for p in ours]
    restored = make(kind, again)
    file.seek(0)
    restored.load_state_dict(torch.load(file, weights_only=True))
    for which, values in ((optimizer, ours), (restored, again)):
        advance(which, values, case, saved_after, len(RATES))
    assert all(torch.equal(a, b) for a, b in zip(ours, again, strict=True))


@pytest.mark.parametrize("kind", KINDS)
def test_parameters_of_a_group_move_in_one_call(kind, monkeypatch):
    name = kind.split()[0]
    kernel, sizes = getattr(torch, f"_fused_{name}_"), []

    def counted(parameters, *more, **options):
        sizes.append(len(parameters))
        kernel(parameters, *more, **options)

    monkeypatch.setattr(torch, f"_fused_{name}_", counted)
    ours = parameters()
    advance(make(kind, ours), ours, "all", 0, 2)
    assert sizes == [1, 2, 1, 2]


def test_a_state_that_is_given_is_not_changed():
    ours = parameters()
    optimizer = make("adamw", ours)
    advance(optimizer, ours, "all", 0, 1)
    state = optimizer.state_dict()
    again = parameters()
    restored = make("adamw", again)
    restored.load_state_dict(state)
    advance(restored, again, "all", 1, 3)
    assert state["groups"][0][0]["steps"] == 1


def edited(change):
    """The state of an AdamW after a step, with a change."""
    ours = parameters()
    optimizer = make("adamw", ours)
    advance(optimizer, ours, "all", 0, 1)
    state = optimizer.state_dict()
    change(state["groups"])
    return state


UNFIT = {
    "no state": ({}, "not one of 2 groups"),
    "no dictionary": ([], "not one of 2 groups"),
    "a group less": (edited(lambda groups: groups.pop()), "not one of 2 groups"),
    "a parameter less": (
        edited(lambda groups: groups[1].pop()),
        "group 1: not the states of 2 parameters",
    ),
    "another shape": (
        edited(lambda groups: groups[1][0].update(mean=torch.zeros(1))),
        r"group 1: parameter 0: mean is not of shape \[5\]",
    ),
    "a number for a tensor": (
        edited(lambda groups: groups[1][0].update(steps=1.0)),
        r"parameter 0: steps is not of shape \[\]",
    ),
    "another type": (
        edited(lambda groups: groups[0][0].update(mean=torch.zeros(7, 5).double())),
        "mean is not torch.float32",
    ),
    "a part less": (
        edited(lambda groups: groups[0][0].pop("square")),
        "is not mean, square",
    ),
    "another optimiser's": (
        edited(lambda groups: groups[0].__setitem__(0, {"momentum": torch.zeros(7)})),
        "is not mean, square, steps",
    ),
}


@pytest.mark.parametrize("name", UNFIT)
def test_a_state_that_does_not_fit_is_refused_and_changes_nothing(name):
    state, why = UNFIT[name]
    ours, undisturbed = parameters(), parameters()
    optimizer = make("adamw", ours)
    advance(optimizer, ours, "all", 0, 2)
    with pytest.raises(ValueError, match=why):
        optimizer.load_state_dict(state)
    advance(optimizer, ours, "all", 2, 4)
    advance(make("adamw", undisturbed), undisturbed, "all", 0, 4)
    assert all(torch.equal(a, b) for a, b in zip(ours, undisturbed, strict=True))


def test_a_step_does_not_import_torchs_compiler():
    code = f"""
import sys
sys.path = {sys.path}
import torch
from mlrpl.training.optimizers import SGD, Group
p = torch.nn.Parameter(torch.ones(3))
p.sum().backward()
SGD([Group([p], 1.0)], 0.9, 0.0).step(0.5)
assert p.tolist() == [0.5] * 3
assert "torch._dynamo" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", ["all", "in turns"])
def test_the_gradient_is_clipped_as_a_whole(kind, case):
    ours, theirs = parameters(), parameters()
    mine, reference = make(kind, ours, clip_norm=1.5), make_torchs(kind, theirs)
    for step, lr in enumerate(RATES):
        set_gradients(ours, step, CASES[case][step])
        set_gradients(theirs, step, CASES[case][step])
        # torch's own, on what has a gradient, whatever its group.
        torch.nn.utils.clip_grad_norm_(theirs, 1.5)
        for group, factor in zip(reference.param_groups, FACTORS, strict=True):
            group["lr"] = lr * factor
        mine.step(lr)
        reference.step()
    for p, q in zip(ours, theirs, strict=True):
        torch.testing.assert_close(p, q, rtol=1e-5, atol=1e-6)
    plain = parameters()
    unclipped = make(kind, plain)
    for step, lr in enumerate(RATES):
        set_gradients(plain, step, CASES[case][step])
        unclipped.step(lr)
    assert (plain[0] - ours[0]).abs().max() > 1e-4
