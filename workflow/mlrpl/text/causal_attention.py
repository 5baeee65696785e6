"""Causal self-attention of packed prompts, forward and backward.

The tokens of a prompt are few (about 20), so the attention's weights are fewer numbers
than its output and are what is kept. All of it is in fp32 at least: next to the tower's
linear maps it is little.

Shapes: rows of n things (queries, keys, values) are [N, n W], or [C, n W] where only
the ends of text ask; unpacked they are [n, H C, T, W / H], or [n, H C, 1, W / H], for H
heads.
"""

import torch
from torch import Tensor

from mlrpl.text.packing import Packing


def unpack(rows: Tensor, things: int, heads: int, packing: Packing) -> Tensor:
    """Return rows of some things as the prompts of each head, fp32 at least."""
    width, length = rows.shape[1] // things // heads, 1
    if len(rows) == len(packing.positions):
        rows = rows.index_select(0, packing.rows.flatten())
        length = packing.rows.shape[1]
    dtype = torch.promote_types(rows.dtype, torch.float32)
    prompts = rows.view(len(rows), things, heads, width).permute(1, 2, 0, 3)
    return prompts.reshape(things, -1, length, width).to(dtype)


def pack(prompts: Tensor, heads: int, packing: Packing) -> Tensor:
    """Return the rows of some things; a shared row is the first prompt's."""
    things, _, length, width = prompts.shape
    rows = prompts.view(things, heads, -1, width).permute(2, 0, 1, 3).flatten(1)
    return rows if length == 1 else rows.index_select(0, packing.origin)


def attention_weights(q: Tensor, k: Tensor, packing: Packing) -> Tensor:
    """Return how each token looks at itself and those before it.

    Args:
        q: unpacked queries [H C, T, W / H], or of the ends of text [H C, 1, W / H].
        k: unpacked keys [H C, T, W / H].
        packing: which tokens the rows are.

    Returns:
        weights [H C, T, T], or [H C, 1, T].
    """
    mask = packing.mask
    if q.shape[1] == 1:
        mask = packing.end_mask.repeat(len(q) // len(packing.end_mask), 1, 1)
    mask = mask.to(q.dtype)
    logits = torch.baddbmm(mask, q, k.transpose(1, 2), alpha=q.shape[2] ** -0.5)
    return torch.softmax(logits, dim=-1)


def attend_backward(
    grad: Tensor,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    weights: Tensor,
    heads: int,
    packing: Packing,
) -> tuple[Tensor, Tensor]:
    """Return the gradients of queries, and of keys and values.

    Args:
        grad: gradient of the rows of the attended values, [N, W] or [C, W].
        q: unpacked queries.
        k: unpacked keys.
        v: unpacked values.
        weights: the attention's.
        heads: H.
        packing: which tokens the rows are.

    Returns:
        rows [N, W] or [C, W] of the queries, and rows [N, 2 W] of keys and values.
    """
    (grad,) = unpack(grad, 1, heads, packing)
    if q.shape[1] > 1:
        # A row was read at its origin; from elsewhere nothing flows back to it.
        grad.view(heads, -1, q.shape[2]).masked_fill_(packing.repeated, 0)
    grad_weights = grad @ v.transpose(1, 2)
    inner = (grad_weights * weights).sum(-1, keepdim=True)
    grad_logits = (grad_weights - inner).mul_(weights).mul_(q.shape[2] ** -0.5)
    grad_q = (grad_logits @ k)[None]
    grad_kv = torch.empty(2, *k.shape, dtype=k.dtype, device=k.device)
    torch.bmm(grad_logits.transpose(1, 2), q, out=grad_kv[0])
    torch.bmm(weights.transpose(1, 2), grad, out=grad_kv[1])
    rows, shared = pack(grad_kv, heads, packing), packing.shared
    # What all prompts share gets the sum of their gradients.
    first = grad_kv[:, :, :shared].unflatten(1, (heads, -1)).sum(2)
    rows[:shared] = first.permute(2, 0, 1, 3).flatten(1)
    return pack(grad_q, heads, packing), rows
