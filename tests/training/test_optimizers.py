"""The fused updates against torch's optimiser classes."""

import subprocess
import sys

import pytest
import torch

from mlrpl.training.optimizers import SGD, AdamW, Group

RATES = [0.1, 0.05, 0.2, 0.1, 0.01]


def parameters():
    generator = torch.Generator().manual_seed(0)
    sizes = ((7, 5), (5,), (3, 2, 2))
    return [torch.nn.Parameter(torch.randn(*s, generator=generator)) for s in sizes]


def quadratic(first, second, third):
    """A loss that leaves `third` out."""
    return ((first @ second - 1) ** 2).sum() + second.pow(4).sum()


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_steps_are_torchs(name):
    ours, theirs = parameters(), parameters()
    groups = [Group(ours[:1], 3.0), Group(ours[1:], 1.0)]
    if name == "sgd":
        optimizer = SGD(groups, momentum=0.9, weight_decay=0.05)
        make, extra = torch.optim.SGD, {"momentum": 0.9}
    else:
        optimizer = AdamW(groups, weight_decay=0.05)
        make, extra = torch.optim.AdamW, {}
    reference = make(
        [{"params": theirs[:1]}, {"params": theirs[1:]}],
        lr=1.0,
        weight_decay=0.05,
        foreach=False,
        **extra,
    )
    for rate in RATES:
        rate /= 50
        quadratic(*ours).backward()
        optimizer.step(rate)
        for group, factor in zip(reference.param_groups, (3.0, 1.0), strict=True):
            group["lr"] = rate * factor
        reference.zero_grad()
        quadratic(*theirs).backward()
        reference.step()
    for mine, other, start in zip(ours, theirs, parameters(), strict=True):
        torch.testing.assert_close(mine, other, rtol=2e-5, atol=1e-6)
        assert mine.grad is None
        # No gradient, no step, and no weight decay either.
        assert torch.equal(mine, start) == (mine is ours[2])


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
