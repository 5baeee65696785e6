"""The attention of a method's classes over the locations of a map, where it has one."""

from typing import Any

import torch
from torch import Tensor

from mlrpl.errors import UserError
from mlrpl.methods.decoupling import Decoupling
from mlrpl.methods.heads.cosine import CosineHead
from mlrpl.methods.heads.ggnn import GatedGraphHead
from mlrpl.methods.method import Method
from mlrpl.methods.precision import at_least_fp32, products
from mlrpl.methods.visual.semantic_attention import SemanticAttention


def check_attention(method: Method, name: str) -> None:
    """Refuse a method that does not attend to locations.

    Args:
        method: the method.
        name: what to call it.

    Raises:
        UserError: it has no attention.
    """
    if _attending(method) is None:
        raise UserError(
            f"{name}: has no attention over the locations of a picture, so no maps; "
            "take a method with semantic decoupling (coop_sd, sarl), with "
            "visual=semantic_attention, or a graph head (ssgrl, kggr, sst, ...)"
        )


def attention(method: Method, features: Tensor) -> Tensor:
    """Return the attention [B, C, L] of maps [B, L, K]; each class's sums to 1.

    Semantic decoupling's is Eq. 5's. Semantic attention weighs each location by a
    sigmoid of its own; divided by their sum, which changes no map's look, the weights
    compare with it.

    Raises:
        UserError: the method has no attention (`check_attention`).
    """
    check_attention(method, type(method.head).__name__)
    module: Any = _attending(method)
    with products(features.device, method.precision):
        if isinstance(method.head, GatedGraphHead):
            features = method.head.reduction(features)
        if isinstance(module, Decoupling):
            return at_least_fp32(module.attention(features))
        mask = torch.sigmoid(module.activation(features)).transpose(1, 2)
    mask = at_least_fp32(mask)
    return mask / mask.sum(dim=-1, keepdim=True)


def _attending(method: Method) -> Decoupling | SemanticAttention | None:
    head = method.head
    if isinstance(head, GatedGraphHead):
        return head.decoupling
    visual = head.visual if isinstance(head, CosineHead) else None
    return visual if isinstance(visual, Decoupling | SemanticAttention) else None
