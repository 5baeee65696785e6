"""Causal self-attention of packed prompts, forward and backward.

The tokens of a prompt are few (about 20), so the attention's weights are fewer numbers
than its output and are what is kept. All of it is in fp32 at least: next to the tower's
linear maps it is little.

Shapes: rows are [N, W], or [C, W] where only the ends of text ask; unpacked they are
[H C, T, W / H], or [H C, 1, W / H], for H heads.
"""

import torch
from torch import Tensor

from mlrpl.prompts.packed import Packing


def unpack(rows: Tensor, heads: int, packing: Packing) -> Tensor:
    """Return rows as the prompts of each head, fp32 at least."""
    length, width = 1, rows.shape[1] // heads
    if len(rows) == len(packing.positions):
        rows = rows.index_select(0, packing.rows.flatten())
        length = packing.rows.shape[1]
    dtype = torch.promote_types(rows.dtype, torch.float32)
    prompts = rows.view(len(rows), heads, width).transpose(0, 1)
    return prompts.reshape(-1, length, width).to(dtype)


def pack(prompts: Tensor, heads: int, packing: Packing) -> Tensor:
    """Return rows of the prompts of each head; a shared row is the first prompt's."""
    rows = prompts.view(heads, -1, prompts.shape[2]).transpose(0, 1).flatten(1)
    return rows if prompts.shape[1] == 1 else rows.index_select(0, packing.origin)


def attention_weights(q: Tensor, k: Tensor, packing: Packing) -> Tensor:
    """Return how each token looks at itself and those before it.

    Args:
        q: unpacked queries, of all tokens or of the ends of text.
        k: unpacked keys.
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
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of the rows of queries, keys and values.

    Args:
        grad: gradient of the rows of the attended values.
        q: unpacked queries.
        k: unpacked keys.
        v: unpacked values.
        weights: the attention's.
        heads: H.
        packing: which tokens the rows are.
    """
    grad = unpack(grad, heads, packing)
    if q.shape[1] > 1:
        # A row was read at its origin; from elsewhere nothing flows back to it.
        grad.view(heads, -1, q.shape[2]).masked_fill_(packing.repeated, 0)
    grad_v = weights.transpose(1, 2) @ grad
    grad_weights = grad @ v.transpose(1, 2)
    inner = (grad_weights * weights).sum(-1, keepdim=True)
    grad_logits = (grad_weights - inner).mul_(weights).mul_(q.shape[2] ** -0.5)
    grad_q, grad_k = grad_logits @ k, grad_logits.transpose(1, 2) @ q
    return (
        pack(grad_q, heads, packing),
        _pack_sum(grad_k, heads, packing),
        _pack_sum(grad_v, heads, packing),
    )


def _pack_sum(prompts: Tensor, heads: int, packing: Packing) -> Tensor:
    """Return gradients as rows; a shared row's is the sum over the prompts."""
    rows, shared = pack(prompts, heads, packing), packing.shared
    first = prompts[:, :shared].view(heads, -1, shared, prompts.shape[2]).sum(1)
    rows[:shared] = first.transpose(0, 1).reshape(shared, -1)
    return rows
