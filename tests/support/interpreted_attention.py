"""The fused kernels in Triton's interpreter, on a CPU; prints JSON.

A process of its own: Triton reads TRITON_INTERPRET where it is imported.
"""

import json
import os

os.environ["TRITON_INTERPRET"] = "1"

import torch

from mlrpl.methods.kernels import fused_attention, self_check
from mlrpl.methods.kernels.bilinear_attention import _BilinearAttention
from mlrpl.methods.kernels.fused_attention import FusedAttention

NAMES = ("attention", "mean", "locations", "classes", "direction")


def literal(u, x, v):
    """The same function in torch's own operations, all of s at once."""
    s = 1 / (1 + (-u[:, None] * x[:, None]).exp())
    logits = (s * v).sum(-1)
    attention = logits.exp() / logits.exp().sum(-1, keepdim=True)
    return attention, (attention[..., None] * s).sum(2)


def outputs(function, tensors, grads):
    inputs = [tensor.clone().requires_grad_() for tensor in tensors]
    found = function(*inputs)
    return [*found, *torch.autograd.grad(found, inputs, grads)]


def draw(b, l, c, j, widest=None, steep=1.0):  # noqa: E741
    """Inputs, |u x| at most `widest`, and the gradients of the two outputs."""
    generator = torch.Generator().manual_seed(b + l + c + j)

    def normal(*shape):
        return torch.randn(shape, generator=generator)

    u, x, v = normal(b, l, j), normal(c, j), steep * normal(j) / j**0.5
    if widest:
        x *= widest / (u[:, None] * x[:, None]).abs().max()
    return (u, x, v), (normal(b, c, l), normal(b, c, j))


def errors(shape, **scales):
    """Largest error of each output, relative to its largest value."""
    tensors, grads = draw(*shape, **scales)
    found = outputs(FusedAttention.apply, tensors, grads)
    expected = outputs(
        literal, [t.double() for t in tensors], [g.double() for g in grads]
    )
    relative = {}
    for name, ours, theirs in zip(NAMES, found, expected, strict=True):
        assert ours.dtype == torch.float32, name
        assert ours.isfinite().all() and ours.is_contiguous(), name
        scale = max(theirs.abs().max().item(), 1e-6)
        relative[name] = (ours - theirs).abs().max().item() / scale
    return relative


def far():
    """Products of which the exponential is infinite or 0."""
    u = torch.tensor([[[1e30, -1e30], [1e30, 1e30]]], requires_grad=True)
    x = torch.full((1, 2), 1e5, requires_grad=True)
    v = torch.ones(2, requires_grad=True)
    attention, mean = FusedAttention.apply(u, x, v)
    (attention.sum() + mean.sum()).backward()
    values = [attention, mean, u.grad, x.grad, v.grad]
    return [tensor.flatten().tolist() for tensor in values]


def same_with_other_layouts():
    """Inputs and gradients that are not contiguous, and a gradient that is a view."""
    tensors, (g_attention, _) = draw(2, 4, 5, 12)
    turned = [t.mT.contiguous().mT for t in tensors[:2]] + [tensors[2]]
    one = torch.ones(()).expand(2, 5, 12)
    ours = outputs(FusedAttention.apply, turned, (g_attention.mT.contiguous().mT, one))
    theirs = outputs(FusedAttention.apply, tensors, (g_attention, torch.ones(2, 5, 12)))
    return all(map(torch.equal, ours, theirs))


def in_parts():
    """A limit of memory that makes several launches of one."""
    tensors, grads = draw(2, 3, 37, 20)  # three blocks of 16 classes
    whole = outputs(FusedAttention.apply, tensors, grads)
    fused_attention.PARTS = 2 * 2 * 3 * 20  # two blocks of classes
    parted = outputs(FusedAttention.apply, tensors, grads)
    fused_attention.PARTS = 1
    single = outputs(FusedAttention.apply, tensors, grads)
    again = outputs(FusedAttention.apply, tensors, grads)
    assert all(map(torch.equal, single, again))
    torch.testing.assert_close(parted, whole)
    torch.testing.assert_close(single, whole)
    return True


def checked():
    """The check of a device, also where nothing else may be differentiated."""
    state = torch.random.get_rng_state()
    arguments = FusedAttention, _BilinearAttention, torch.device("cpu"), 33, 6
    reasons = [self_check.disagreement(*arguments)]
    with torch.no_grad():
        reasons.append(self_check.disagreement(*arguments))
    with torch.inference_mode():
        reasons.append(self_check.disagreement(*arguments))
    assert torch.equal(state, torch.random.get_rng_state())
    return reasons


if __name__ == "__main__":
    shapes = [
        *[(1, 1, 1, 1), (3, 7, 5, 19), (2, 4, 17, 100), (1, 3, 20, 128)],
        *[(2, 3, 5, 1024), (1, 2, 4, 2048), (2, 49, 3, 33), (1, 3, 80, 40)],
    ]
    result = {
        "errors": {"x".join(map(str, shape)): errors(shape) for shape in shapes},
        "saturated": errors((2, 5, 6, 64), widest=100.0, steep=1.0),
        "steep": errors((2, 5, 6, 64), widest=100.0, steep=100.0),
        "far": far(),
        "other layouts": same_with_other_layouts(),
        "parts": in_parts(),
        "checked": checked(),
    }
    print(json.dumps(result))
