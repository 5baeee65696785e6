"""Low-rank bilinear attention over locations, without its tensor in memory.

The tensor t = tanh(u_l * v_c) of Eq. 3 has B x C x L x J entries (257 million for a
batch of COCO). It is made for a few images at a time, in the forward pass and again in
the backward pass, and never kept.
"""

import torch
from torch import Tensor

# Entries of t that are held at once: 32 MiB of fp32 stay near a CPU's caches, and on a
# GPU a chunk must be large enough to fill the device.
CHUNK_CPU = 2**23
CHUNK_CUDA = 2**28


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
    return _BilinearAttention.apply(locations, classes, direction)


def _joint(locations: Tensor, classes: Tensor) -> Tensor:
    """Return t [b, C, L, J]."""
    return torch.tanh(locations[:, None] * classes[None, :, None])


def _chunks(locations: Tensor, classes: Tensor) -> list[slice]:
    limit = CHUNK_CUDA if locations.is_cuda else CHUNK_CPU
    step = max(1, limit // (locations[0].numel() * len(classes)))
    return [slice(i, i + step) for i in range(0, len(locations), step)]


class _BilinearAttention(torch.autograd.Function):
    @staticmethod
    def forward(ctx, locations: Tensor, classes: Tensor, direction: Tensor):
        attentions, means = [], []
        for part in _chunks(locations, classes):
            t = _joint(locations[part], classes)
            attention = torch.softmax(t @ direction, dim=-1)
            attentions.append(attention)
            means.append((attention[:, :, None] @ t)[:, :, 0])
        attention, mean = torch.cat(attentions), torch.cat(means)
        ctx.save_for_backward(locations, classes, direction, attention)
        return attention, mean

    @staticmethod
    def backward(ctx, grad_attention: Tensor, grad_mean: Tensor):
        locations, classes, direction, attention = ctx.saved_tensors
        grad_locations = torch.empty_like(locations)
        grad_classes = torch.zeros_like(classes)
        grad_direction = torch.zeros_like(direction)
        for part in _chunks(locations, classes):
            u, a, g_mean = locations[part], attention[part], grad_mean[part]
            t = _joint(u, classes)
            # Through the weighted mean and the softmax to the logits [b, C, L].
            g = (t @ g_mean[..., None])[..., 0] + grad_attention[part]
            g_logit = a * (g - (a * g).sum(-1, keepdim=True))
            grad_direction += g_logit.reshape(-1) @ t.reshape(-1, t.shape[-1])
            # To t by both ways, then through tanh.
            g_t = a[..., None] * g_mean[:, :, None]
            g_t += g_logit[..., None] * direction
            g_t *= 1 - t.square()
            grad_locations[part] = (g_t * classes[None, :, None]).sum(1)
            grad_classes += (g_t * u[:, None]).sum((0, 2))
        return grad_locations, grad_classes, grad_direction
