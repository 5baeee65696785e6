"""CLIP's frozen text tower, on the tokens that its features depend on.

CLIP's text transformer is causal and its feature is read at the end-of-text token.
Nothing after that token can reach the feature, and what all prompts begin with has the
same features in each. So the tower runs on rows of tokens, those after an end of text
left out and those that prompts share there once (`prompts.packed`); its last layer on
the ends of text alone. That is the same function with the same gradients as the padded
sequences of 77 tokens.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mlrpl.text.causal_attention import (
    attend_backward,
    attention_weights,
    pack,
    unpack,
)
from mlrpl.text.clip_text import BLOCK_TENSORS, ClipText
from mlrpl.text.packing import Packing


class TextTower(nn.Module):
    """The frozen text transformer of CLIP, on embedded prompts.

    The parameters are buffers: nothing here is ever trained. Under autocast its
    products are in autocast's type; residuals, normalisation and attention are not.
    """

    def __init__(self, clip: ClipText):
        """Read the tower's tensors."""
        super().__init__()
        self.heads = int(clip.metadata["heads"])
        self.eps = float(clip.metadata.get("layer_norm_eps", 1e-5))
        self.quick_gelu = clip.metadata["activation"] == "quick_gelu"
        self.blocks = nn.ModuleList(
            Block(clip, f"blocks.{i}.", self.heads, self.eps, self.quick_gelu)
            for i in range(int(clip.metadata["layers"]))
        )
        for name in ("positional_embedding", "text_projection"):
            self.register_buffer(name, clip.tensor(name), persistent=False)
        for name in ("weight", "bias"):
            tensor = clip.tensor(f"ln_final.{name}")
            self.register_buffer(f"ln_final_{name}", tensor, persistent=False)

    @property
    def context_length(self) -> int:
        """The longest sequence that the tower has position embeddings for."""
        return self.positional_embedding.shape[0]

    def forward(self, tokens: Tensor, packing: Packing) -> Tensor:
        """Encode prompts.

        Args:
            tokens: embedded tokens [N, W] of C prompts.
            packing: where they are.

        Returns:
            text features [C, D], not normalised (Eq. 8).
        """
        x = tokens + self.positional_embedding[packing.positions]
        kind, dtype = x.device.type, x.dtype
        if torch.is_autocast_enabled(kind):
            dtype = torch.get_autocast_dtype(kind)
        with torch.autocast(kind, enabled=False):
            for i, block in enumerate(self.blocks):
                x = block(x, packing, dtype, ends_only=i == len(self.blocks) - 1)
            x = F.layer_norm(
                x, x.shape[-1:], self.ln_final_weight, self.ln_final_bias, self.eps
            )
            return x.to(dtype) @ self.text_projection.to(dtype)


class Block(nn.Module):
    """A pre-norm residual block with causal self-attention."""

    def __init__(
        self, clip: ClipText, prefix: str, heads: int, eps: float, quick_gelu: bool
    ):
        """Read the tensors whose names begin with `prefix`."""
        super().__init__()
        self.heads, self.eps, self.quick_gelu = heads, eps, quick_gelu
        # QuickGELU h sigmoid(1.702 h) is SiLU(1.702 h) / 1.702; the factors go into
        # the products on both sides of it, and backward they cancel.
        self.scale = 1.702 if quick_gelu else 1.0
        for name in BLOCK_TENSORS:
            tensor = clip.tensor(prefix + name)
            self.register_buffer(name.replace(".", "_"), tensor, persistent=False)
        self._cast: dict[str, tuple[Tensor, Tensor]] = {}

    def forward(
        self,
        x: Tensor,
        packing: Packing,
        dtype: torch.dtype | None = None,
        ends_only: bool = False,
    ) -> Tensor:
        """Apply the block.

        Args:
            x: rows [N, W].
            packing: which tokens the rows are.
            dtype: of the products; by default that of `x`.
            ends_only: return the rows of the ends of text alone.

        Returns:
            rows [N, W], or [C, W] of the ends of text.
        """
        return _BlockFunction.apply(x, self, packing, dtype or x.dtype, ends_only)

    def weights(self, name: str, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Return weight and bias of a linear map, cast once: they are frozen."""
        weight, bias = (getattr(self, f"{name}{end}") for end in ("weight", "bias"))
        if weight.dtype == dtype:
            return weight, bias
        cast = self._cast.get(name)
        if cast is None or cast[0].dtype != dtype or cast[0].device != weight.device:
            cast = self._cast[name] = weight.to(dtype), bias.to(dtype)
        return cast

    def normalise(
        self, x: Tensor, number: int, dtype: torch.dtype
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return a layer normalisation of rows, and their means and inverse spreads."""
        weight, bias = (getattr(self, f"ln_{number}_{e}") for e in ("weight", "bias"))
        h, *moments = torch.native_layer_norm(x, x.shape[-1:], weight, bias, self.eps)
        return h.to(dtype), *moments

    def normalise_backward(
        self, grad: Tensor, x: Tensor, number: int, mean: Tensor, spread: Tensor
    ) -> Tensor:
        """Return the gradient of a layer normalisation's rows."""
        weight, bias = (getattr(self, f"ln_{number}_{e}") for e in ("weight", "bias"))
        return torch.ops.aten.native_layer_norm_backward(
            grad.to(x.dtype),
            x,
            x.shape[-1:],
            mean,
            spread,
            weight,
            bias,
            [True, False, False],
        )[0]

    def project(
        self, h: Tensor, packing: Packing, ends_only: bool
    ) -> tuple[Tensor, ...]:
        """Return the rows of queries, keys and values.

        Returns:
            all three in one tensor [N, 3 W]; or, where only the ends of text ask, their
            queries [C, W], and keys and values [N, 2 W].
        """
        weight, bias = self.weights("attn_in_proj_", h.dtype)
        if not ends_only:
            return (F.linear(h, weight, bias),)
        width = h.shape[1]
        return (
            F.linear(h[packing.ends], weight[:width], bias[:width]),
            F.linear(h, weight[width:], bias[width:]),
        )

    def project_backward(
        self,
        grad_q: Tensor,
        grad_kv: Tensor,
        packing: Packing,
        dtype: torch.dtype,
        ends_only: bool,
    ) -> Tensor:
        """Return the gradient of what was projected to queries, keys and values."""
        weight, _ = self.weights("attn_in_proj_", dtype)
        if not ends_only:
            return torch.cat([grad_q, grad_kv], dim=1).to(dtype) @ weight
        width = grad_q.shape[1]
        grad = grad_kv.to(dtype) @ weight[width:]
        grad += packing.at_ends(grad_q.to(dtype) @ weight[:width])
        return grad

    def unpack(self, qkv: Sequence[Tensor], packing: Packing) -> list[Tensor]:
        """Return queries, keys and values of each head, of what `project` returned."""
        parts = (3,) if len(qkv) == 1 else (1, 2)
        unpacked = (
            unpack(rows, things, self.heads, packing)
            for rows, things in zip(qkv, parts, strict=True)
        )
        return [thing for part in unpacked for thing in part]

    def attend(
        self, qkv: Sequence[Tensor], packing: Packing, dtype: torch.dtype
    ) -> tuple[Tensor, Tensor]:
        """Return the rows of the attended values, and the attention's weights."""
        q, k, v = self.unpack(qkv, packing)
        look = attention_weights(q, k, packing)
        return pack((look @ v)[None], self.heads, packing).to(dtype), look

    def widen(self, h: Tensor) -> Tensor:
        """Return what the activation gets: the perceptron's first map, scaled."""
        weight, bias = self.weights("mlp_c_fc_", h.dtype)
        return torch.addmm(bias, h, weight.T, beta=self.scale, alpha=self.scale)

    def narrow(self, wide: Tensor) -> Tensor:
        """Return the perceptron's second map of the activation."""
        weight, bias = self.weights("mlp_c_proj_", wide.dtype)
        h = F.silu(wide) if self.quick_gelu else F.gelu(wide)
        return torch.addmm(bias, h, weight.T, alpha=1 / self.scale)

    def perceptron_backward(self, grad: Tensor, wide: Tensor) -> Tensor:
        """Return the gradient of what was widened, of that of what was narrowed."""
        aten = torch.ops.aten
        activation = aten.silu_backward if self.quick_gelu else aten.gelu_backward
        grad = activation(grad @ self.weights("mlp_c_proj_", grad.dtype)[0], wide)
        return grad @ self.weights("mlp_c_fc_", grad.dtype)[0]


class _BlockFunction(torch.autograd.Function):
    """A block whose weights have no gradient.

    With LN_1 and LN_2 for the layer normalisations:

        x2 = x + out(attention(qkv(LN_1(x))))
        y = x2 + narrow(activation(widen(LN_2(x2))))

    The backward pass gives the gradient of x alone. A linear map needs its weights for
    that and not its input, so 9 W numbers a row are kept: x and x2 for their
    normalisations (W each; and their means and inverse spreads), queries, keys and
    values for the attention (3 W), and what the activation gets (4 W). The attention's
    weights are kept as well, which are few as prompts are short. Queries, keys and
    values are kept as rows and unpacked again: autograd would keep them unpacked, in
    fp32 and padded to the longest prompt.
    """

    @staticmethod
    def forward(
        ctx,
        x: Tensor,
        block: Block,
        packing: Packing,
        dtype: torch.dtype,
        ends_only: bool,
    ) -> Tensor:
        h, *moments = block.normalise(x, 1, dtype)
        qkv = block.project(h, packing, ends_only)
        attended, look = block.attend(qkv, packing, dtype)
        past = x[packing.ends] if ends_only else x
        x2 = past + F.linear(attended, *block.weights("attn_out_proj_", dtype))
        h, *moments_2 = block.normalise(x2, 2, dtype)
        wide = block.widen(h)
        if ctx.needs_input_grad[0]:
            ctx.save_for_backward(x, look, x2, wide, *moments, *moments_2, *qkv)
            ctx.block, ctx.packing = block, packing
            ctx.dtype, ctx.ends_only = dtype, ends_only
        return block.narrow(wide) + x2

    @staticmethod
    def backward(ctx, grad: Tensor):
        x, look, x2, wide, mean, spread, mean_2, spread_2, *qkv = ctx.saved_tensors
        block, packing, dtype = ctx.block, ctx.packing, ctx.dtype
        # `g` is the gradient within a branch; where the branch begins, it is added to
        # the one that went past it.
        g = block.perceptron_backward(grad.to(dtype), wide)
        grad_x2 = grad + block.normalise_backward(g, x2, 2, mean_2, spread_2)
        g = grad_x2.to(dtype) @ block.weights("attn_out_proj_", dtype)[0]
        q, k, v = block.unpack(qkv, packing)
        g_q, g_kv = attend_backward(g, q, k, v, look, block.heads, packing)
        g = block.project_backward(g_q, g_kv, packing, dtype, ctx.ends_only)
        if ctx.ends_only:
            grad_x2 = packing.at_ends(grad_x2)
        grad_x = block.normalise_backward(g, x, 1, mean, spread) + grad_x2
        return grad_x, None, None, None, None
