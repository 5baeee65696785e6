"""Low-rank bilinear attention over locations, without its tensor in memory.

The tensor t = tanh(u_l * v_c) of Eq. 3 has B x C x L x J entries, 257 million for a
batch of COCO. It is made for one class and a few images at a time, in the forward pass
and again in the backward pass, and never kept; unless it is small.
"""

import torch
from torch import Tensor

# Entries of t that are held at once: on a CPU 1 MiB of fp32, which stays in a core's
# cache; on a GPU as many as it takes to fill the device.
CHUNK_CPU = 2**18
CHUNK_CUDA = 2**28
# Entries of t up to which it is made at once and kept: 16 MiB of fp32.
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
    if locations.numel() * len(classes) > KEEP:
        return _BilinearAttention.apply(locations, classes, direction)
    t = torch.tanh(locations[:, None] * classes[:, None])
    attention = torch.softmax(t @ direction, dim=-1)
    return attention, (attention[:, :, None] @ t)[:, :, 0]


def _parts(locations: Tensor) -> list[slice]:
    limit = CHUNK_CUDA if locations.is_cuda else CHUNK_CPU
    step = max(1, limit // max(1, locations[0].numel()))
    return [slice(i, i + step) for i in range(0, len(locations), step)]


class _BilinearAttention(torch.autograd.Function):
    @staticmethod
    def forward(ctx, locations: Tensor, classes: Tensor, direction: Tensor):
        batch, length, width = locations.shape
        attention = locations.new_empty(batch, len(classes), length)
        mean = locations.new_empty(batch, len(classes), width)
        for part in _parts(locations):
            u = locations[part]
            t = torch.empty_like(u)
            for c, v in enumerate(classes):
                torch.mul(u, v, out=t).tanh_()
                a = torch.softmax(t @ direction, dim=-1)
                attention[part, c] = a
                mean[part, c] = torch.bmm(a[:, None], t)[:, 0]
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
            t = torch.empty_like(u)
            for c, v in enumerate(classes):
                torch.mul(u, v, out=t).tanh_()
                a, g_mean = attention[part, c], grad_mean[part, c]
                # Through the weighted mean and the softmax to the logits [b, L].
                g = torch.bmm(t, g_mean[..., None])[..., 0] + grad_attention[part, c]
                g_logit = a * (g - (a * g).sum(-1, keepdim=True))
                grad_direction += g_logit.reshape(-1) @ t.view(-1, width)
                # To t both ways, a (x) g_mean + g_logit (x) direction, then by tanh.
                g_t = torch.bmm(
                    torch.stack([a, g_logit], dim=-1),
                    torch.stack([g_mean, direction.expand_as(g_mean)], dim=1),
                )
                g_product = torch.ops.aten.tanh_backward(g_t, t)
                grad_u.addcmul_(g_product, v)
                torch.mul(g_product, u, out=g_t)
                grad_classes[c] += g_t.view(-1, width).sum(0)
        return grad_locations, grad_classes, grad_direction
