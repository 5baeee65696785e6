"""Low-rank bilinear attention over locations, without its tensor in memory.

The tensor t = tanh(u_l * v_c) of Eq. 3 has B x C x L x J entries, 257 million for a
batch of COCO. It is made for one class and a few images at a time, in the forward pass
and again in the backward pass, and never kept; unless it is small.

What is made is s = sigmoid(2 u_l * v_c), for t = 2 s - 1: torch's vectorised sigmoid
takes a third of the time of its tanh on a CPU. The constant leaves the softmax as it
is, and the factors 2 go over [C, J] and [J] alone.
"""

import torch
from torch import Tensor

# Entries of s that are held at once: on a CPU 1 MiB of fp32, which stays in a core's
# cache; on a GPU as many as it takes to fill the device.
CHUNK_CPU = 2**18
CHUNK_CUDA = 2**28
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
        attention, mean = _BilinearAttention.apply(locations, classes, direction)
    else:
        s = torch.sigmoid(locations[:, None] * classes[:, None])
        attention = torch.softmax(s @ direction, dim=-1)
        mean = (attention[:, :, None] @ s)[:, :, 0]
    return attention, 2 * mean - 1


def _parts(locations: Tensor) -> list[slice]:
    limit = CHUNK_CUDA if locations.is_cuda else CHUNK_CPU
    step = max(1, limit // max(1, locations[0].numel()))
    return [slice(i, i + step) for i in range(0, len(locations), step)]


class _BilinearAttention(torch.autograd.Function):
    """softmax(s . direction) and the mean of s that it weights, s kept nowhere."""

    @staticmethod
    def forward(ctx, locations: Tensor, classes: Tensor, direction: Tensor):
        batch, length, width = locations.shape
        attention = locations.new_empty(batch, len(classes), length)
        mean = locations.new_empty(batch, len(classes), width)
        for part in _parts(locations):
            u = locations[part]
            s = torch.empty_like(u)
            for c, v in enumerate(classes):
                torch.mul(u, v, out=s).sigmoid_()
                a = torch.softmax(s @ direction, dim=-1)
                attention[part, c] = a
                mean[part, c] = torch.bmm(a[:, None], s)[:, 0]
        ctx.save_for_backward(locations, classes, direction, attention)
        return attention, mean

    @staticmethod
    def backward(ctx, grad_attention: Tensor, grad_mean: Tensor):
        locations, classes, direction, attention = ctx.saved_tensors
        width = len(direction)
        grad_locations = torch.zeros_like(locations)
        grad_classes = torch.zeros_like(classes)
        grad_direction = torch.zeros_like(direction)
        for part in _parts(locations):
            u, grad_u = locations[part], grad_locations[part]
            s = torch.empty_like(u)
            for c, v in enumerate(classes):
                torch.mul(u, v, out=s).sigmoid_()
                a, g_mean = attention[part, c], grad_mean[part, c]
                # Through the weighted mean and the softmax to the logits [b, L].
                g = torch.bmm(s, g_mean[..., None])[..., 0] + grad_attention[part, c]
                g_logit = a * (g - (a * g).sum(-1, keepdim=True))
                grad_direction += g_logit.reshape(-1) @ s.view(-1, width)
                # To s both ways, a (x) g_mean + g_logit (x) direction; then through it.
                g_s = torch.bmm(
                    torch.stack([a, g_logit], dim=-1),
                    torch.stack([g_mean, direction.expand_as(g_mean)], dim=1),
                )
                torch.ops.aten.sigmoid_backward.grad_input(g_s, s, grad_input=g_s)
                grad_u.addcmul_(g_s, v)
                grad_classes[c] += g_s.mul_(u).view(-1, width).sum(0)
        return grad_locations, grad_classes, grad_direction
