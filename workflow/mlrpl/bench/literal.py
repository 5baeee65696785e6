"""A literal implementation of Eq. 3-8, to be measured beside the product's.

It computes the same function from the same weights, in the order in which the paper
prints it: P is applied to every location and class, which takes tensors of
[B, L, C, J], and the text tower reads sequences padded to its whole context (77 tokens)
with torch's own attention and a mask, as CLIP's and CoOp's code do.
"""

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mlrpl.errors import UserError
from mlrpl.methods.method import Method
from mlrpl.methods.visual.semantic_decoupling import SemanticDecoupling
from mlrpl.text.clip_text import ClipText
from mlrpl.text.prompts import Prompts
from mlrpl.text.tower import TextTower


class LiteralDecoupling(nn.Module):
    """Eq. 3-6 as printed."""

    reads = "map"
    per_class = True

    def __init__(self, module: SemanticDecoupling):
        """Start from the weights of the product's module."""
        super().__init__()
        self.pooled = module.pooled
        self.register_buffer("class_vectors", module.class_vectors, persistent=False)
        for name in ("U", "V", "P", "F_att", "to_text"):
            setattr(self, name, copy.deepcopy(getattr(module, name)))

    def forward(self, features: Tensor) -> Tensor:
        """Return class features [B, C, D] of maps [B, L, K]."""
        product = self.U(features)[:, :, None] * self.V(self.class_vectors)
        fused = self.P(torch.tanh(product))  # Eq. 3, [B, L, C, J]
        attention = self.F_att(fused)[..., 0].softmax(dim=1)  # Eq. 4-5, [B, L, C]
        if self.pooled == "fused":  # Eq. 6
            pooled = (attention[..., None] * fused).sum(dim=1)
        else:
            pooled = attention.transpose(1, 2) @ features
        return self.to_text(pooled)


class PaddedPrompts(nn.Module):
    """The product's prompts, padded to the whole context."""

    def __init__(self, prompts: Prompts, clip: ClipText, context_length: int):
        """Pad with token 0, as CLIP's tokenizer does."""
        super().__init__()
        self.prompts = prompts
        self.context_length = context_length
        self.register_buffer("padding", clip.embed([0]))

    def forward(self) -> tuple[Tensor, Tensor]:
        """Return embedded prompts [C, 77, W] and each end of text's position [C]."""
        tokens, packing = self.prompts()
        embedded, end = tokens[packing.rows], packing.positions[packing.ends]
        missing = self.context_length - embedded.shape[1]
        padding = self.padding.expand(len(embedded), missing, -1)
        return torch.cat([embedded, padding], dim=1), end


class LiteralTower(nn.Module):
    """CLIP's text transformer with torch's attention and a mask of minus infinity."""

    def __init__(self, tower: TextTower):
        """Start from the weights of the product's tower."""
        super().__init__()
        self.blocks = nn.ModuleList(_Block(block) for block in tower.blocks)
        self.eps = tower.eps
        for name in (
            "positional_embedding",
            "text_projection",
            "ln_final_weight",
            "ln_final_bias",
        ):
            self.register_buffer(name, getattr(tower, name), persistent=False)
        length = tower.context_length
        mask = torch.full((length, length), float("-inf")).triu(1)
        self.register_buffer("mask", mask, persistent=False)
        self.requires_grad_(False)

    def forward(self, prompts: Tensor, end: Tensor) -> Tensor:
        """Return text features [C, D] of prompts [C, 77, W] (Eq. 8)."""
        x = prompts + self.positional_embedding
        for block in self.blocks:
            x = block(x, self.mask)
        x = F.layer_norm(
            x, x.shape[-1:], self.ln_final_weight, self.ln_final_bias, self.eps
        )
        x = x[torch.arange(len(x), device=x.device), end]
        return x @ self.text_projection


class _Block(nn.Module):
    def __init__(self, block: nn.Module):
        super().__init__()
        width = block.ln_1_weight.shape[0]
        self.quick_gelu = block.quick_gelu
        self.ln_1 = nn.LayerNorm(width, block.eps)
        self.attn = nn.MultiheadAttention(width, block.heads, batch_first=True)
        self.ln_2 = nn.LayerNorm(width, block.eps)
        self.c_fc = nn.Linear(width, 4 * width)
        self.c_proj = nn.Linear(4 * width, width)
        with torch.no_grad():
            for ours, theirs in (
                ("ln_1_weight", self.ln_1.weight),
                ("ln_1_bias", self.ln_1.bias),
                ("attn_in_proj_weight", self.attn.in_proj_weight),
                ("attn_in_proj_bias", self.attn.in_proj_bias),
                ("attn_out_proj_weight", self.attn.out_proj.weight),
                ("attn_out_proj_bias", self.attn.out_proj.bias),
                ("ln_2_weight", self.ln_2.weight),
                ("ln_2_bias", self.ln_2.bias),
                ("mlp_c_fc_weight", self.c_fc.weight),
                ("mlp_c_fc_bias", self.c_fc.bias),
                ("mlp_c_proj_weight", self.c_proj.weight),
                ("mlp_c_proj_bias", self.c_proj.bias),
            ):
                theirs.copy_(getattr(block, ours))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        h = self.ln_1(x)
        x = x + self.attn(h, h, h, attn_mask=mask, need_weights=False)[0]
        h = self.c_fc(self.ln_2(x))
        h = h * torch.sigmoid(1.702 * h) if self.quick_gelu else F.gelu(h)
        return x + self.c_proj(h)


def literal(method: Method, clip: ClipText) -> Method:
    """Return a copy of a method whose visual module and text side are literal.

    Args:
        method: a method with semantic decoupling, on the CPU.
        clip: the text side that it was built from.

    Raises:
        UserError: for another visual module, of which there is no literal form.
    """
    visual = getattr(method.head, "visual", method.head)
    if not isinstance(visual, SemanticDecoupling):
        raise UserError(
            f"bench: there is no literal form of {type(visual).__name__}; leave out "
            "the part step, or set visual to semantic_decoupling"
        )
    method = copy.deepcopy(method)
    head = method.head
    head.prompts = PaddedPrompts(head.prompts, clip, head.tower.context_length)
    head.tower = LiteralTower(head.tower)
    head.visual = LiteralDecoupling(head.visual)
    return method
