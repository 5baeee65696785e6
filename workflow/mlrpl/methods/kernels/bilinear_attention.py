"""Low-rank bilinear attention over locations, without its tensor in memory.

The tensor t = tanh(u_l * v_c) of Eq. 3 has B x C x L x J entries, 257 million for a
batch of COCO. It is made for a few classes and images at a time, in the forward pass
and again in the backward pass, and never kept; unless it is small.

What is made is s = sigmoid(2 u_l * v_c), for t = 2 s - 1: torch's vectorised sigmoid
takes a third of the time of its tanh on a CPU. The constant leaves the softmax as it
is, and the factors 2 go over [C, J] and [J] alone.

On a CUDA device the kernels of `fused_attention` do all this where they can be used.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from mlrpl.methods.kernels import fused_attention

# Entries of s that are held at once: on a CPU 1 MiB of fp32, which stays in a core's
# cache; on a GPU 256 MiB, enough to fill it, so that few kernels are started.
CHUNK_CPU = 2**18
CHUNK_CUDA = 2**26
# Entries of s up to which it is made at once and kept: 16 MiB of fp32.
KEEP = 2**22


def bilinear_attention(
    locations: Tensor, classes: Tensor, direction: Tensor
) -> tuple[Tensor, Tensor]:
    """Attend to locations by the logit direction . tanh(locations * classes).

    Args:
        locations: u = U f, [B, L, J].
        classes: V x, [C, J].
        direction: v, [J].

    Returns:
        the attention [B, C, L], a softmax over the locations (Eq. 4-5), and the
        attention's mean of t over the locations [B, C, J] (Eq. 6 before P).
    """
    # In fp32 where autocast gave less: sums over locations and images follow.
    with torch.autocast(locations.device.type, enabled=False):
        dtype = torch.promote_types(locations.dtype, torch.float32)
        return _attend(locations.to(dtype), classes.to(dtype), direction.to(dtype))


def _attend(
    locations: Tensor, classes: Tensor, direction: Tensor
) -> tuple[Tensor, Tensor]:
    classes, direction = 2 * classes, 2 * direction
    if locations.numel() * len(classes) > KEEP:
        function = _BilinearAttention
        if fused_attention.usable(function, locations, classes):
            function = fused_attention.FusedAttention
        attention, mean = function.apply(locations, classes, direction)
    else:
        s = _sigmoid(locations, classes)
        attention = torch.softmax(s @ direction, dim=-1)
        mean = (attention[:, :, None] @ s)[:, :, 0]
    return attention, 2 * mean - 1


def _parts(locations: Tensor, classes: Tensor) -> Iterator[tuple[slice, slice]]:
    """Iterate over parts of images and classes, so that s of a part is a chunk.

    One class at a time with all images that fit; several classes, if all images do.
    """
    limit = CHUNK_CUDA if locations.is_cuda else CHUNK_CPU
    images = max(1, limit // max(1, locations[0].numel()))
    together = max(1, limit // max(1, locations.numel()))
    for i in range(0, len(locations), images):
        for c in range(0, len(classes), together):
            yield slice(i, i + images), slice(c, c + together)


def _sigmoid(u: Tensor, v: Tensor) -> Tensor:
    """Return s [b, c, L, J] of images u [b, L, J] and classes v [c, J]."""
    return (u[:, None] * v[:, None]).sigmoid_()


class _BilinearAttention(torch.autograd.Function):
    """softmax(s . direction) and the mean of s that it weights, s kept nowhere."""

    @staticmethod
    def forward(ctx, locations: Tensor, classes: Tensor, direction: Tensor):
        batch, length, width = locations.shape
        attention = locations.new_empty(batch, len(classes), length)
        mean = locations.new_empty(batch, len(classes), width)
        for i, c in _parts(locations, classes):
            s = _sigmoid(locations[i], classes[c])
            a = torch.softmax(s @ direction, dim=-1)
            attention[i, c] = a
            mean[i, c] = (a[:, :, None] @ s)[:, :, 0]
        ctx.save_for_backward(locations, classes, direction, attention)
        return attention, mean

    @staticmethod
    def backward(ctx, grad_attention: Tensor, grad_mean: Tensor):
        locations, classes, direction, attention = ctx.saved_tensors
        width = len(direction)
        grad_locations = torch.zeros_like(locations)
        grad_classes = torch.zeros_like(classes)
        grad_direction = torch.zeros_like(direction)
        for i, c in _parts(locations, classes):
            u, v = locations[i], classes[c]
            s = _sigmoid(u, v)
            a, g_mean = attention[i, c], grad_mean[i, c]
            # Through the weighted mean and the softmax to the logits [b, c, L].
            g = (s @ g_mean[..., None])[..., 0] + grad_attention[i, c]
            g_logit = a * (g - (a * g).sum(-1, keepdim=True))
            grad_direction += g_logit.reshape(-1) @ s.view(-1, width)
            # To s both ways, a (x) g_mean + g_logit (x) direction; then through it.
            left = torch.stack([a, g_logit], dim=-1)
            right = torch.stack([g_mean, direction.expand_as(g_mean)], dim=-2)
            g_s = left @ right
            torch.ops.aten.sigmoid_backward.grad_input(g_s, s, grad_input=g_s)
            if len(v) == 1:
                grad_locations[i].addcmul_(g_s[:, 0], v)
            else:
                grad_locations[i] += torch.mul(g_s, v[:, None], out=s).sum(1)
            grad_classes[c] += g_s.mul_(u[:, None]).sum((0, 2))
        return grad_locations, grad_classes, grad_direction
