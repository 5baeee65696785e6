"""CLIP's frozen text tower, run on no more tokens than a prompt has.

CLIP's text transformer is causal and its feature is read at the end-of-text token.
Nothing after that token can reach the feature, so a sequence that is cut after the
longest prompt gives the same feature as the padded one of 77 tokens.
"""

import json
import os
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from mlrpl.errors import UserError


class ClipText:
    """The text side of a CLIP for one data set, read from `clip.safetensors`.

    Attributes:
        metadata: the file's strings (encoder, activation, sot, eot, period, ...).
        classes: the class names, in the order of the label matrix.
        class_tokens: token ids of each class name, without start and end of text.
        logit_scale: CLIP's frozen 1 / tau (100 for the published models).
    """

    def __init__(self, path: str | os.PathLike):
        """Open the file; tensors are read when they are asked for.

        Raises:
            UserError: when the file is missing or not one that `encoder` wrote.
        """
        self.path = Path(path)
        try:
            self._file = safe_open(self.path, framework="pt")
        except (OSError, SafetensorError) as error:
            raise UserError(
                f"{path}: not a readable safetensors file ({error}); remake it with "
                "`mlrpl encoder`"
            ) from error
        self.metadata = self._file.metadata() or {}
        missing = {"classes", "activation", "heads", "layers", "sot", "eot", "period"}
        missing -= set(self.metadata)
        if missing:
            raise UserError(
                f"{path}: no {sorted(missing)[0]} in its metadata; remake it with "
                "`mlrpl encoder`"
            )
        self.classes: tuple[str, ...] = tuple(json.loads(self.metadata["classes"]))
        self.class_tokens = [
            [token for token in row if token >= 0]
            for row in self.tensor("class_tokens").tolist()
        ]
        self.logit_scale = float(self.tensor("logit_scale"))

    def tensor(self, name: str) -> Tensor:
        """Return one tensor of the file."""
        return self._file.get_tensor(name)

    def embed(self, tokens: list[int]) -> Tensor:
        """Return the token embeddings [len(tokens), W], reading those rows alone."""
        table = self._file.get_slice("token_embedding")
        rows = [table[token : token + 1] for token in tokens]
        width = table.get_shape()[1]
        return torch.cat(rows) if rows else torch.empty(0, width)

    def visual_projection(self) -> tuple[Tensor, Tensor]:
        """Return CLIP's linear map [K, D] of the spatial features, and its bias [D].

        Raises:
            UserError: when the encoder's image tower has no such linear map.
        """
        if "visual_projection" not in self._file.keys():  # noqa: SIM118 (no dict)
            raise UserError(
                f"{self.path}: the image tower of {self.metadata.get('encoder')} has "
                "no linear map to the joint space; use projection: random"
            )
        return self.tensor("visual_projection"), self.tensor("visual_projection_bias")


class TextTower(nn.Module):
    """The frozen text transformer of CLIP, on embedded prompts.

    The parameters are buffers: nothing here is ever trained.
    """

    def __init__(self, clip: ClipText):
        """Read the tower's tensors."""
        super().__init__()
        self.heads = int(clip.metadata["heads"])
        self.eps = float(clip.metadata.get("layer_norm_eps", 1e-5))
        self.quick_gelu = clip.metadata["activation"] == "quick_gelu"
        self.blocks = nn.ModuleList(
            _Block(clip, f"blocks.{i}.", self.heads, self.eps, self.quick_gelu)
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

    def forward(self, prompts: Tensor, end: Tensor) -> Tensor:
        """Encode prompts.

        Args:
            prompts: embedded tokens [C, T, W], T at most the context length; what
                follows a prompt's end of text is ignored.
            end: position [C] of each prompt's end-of-text token.

        Returns:
            text features [C, D], not normalised (Eq. 8).
        """
        x = prompts + self.positional_embedding[: prompts.shape[1]]
        for block in self.blocks:
            x = block(x)
        x = x[torch.arange(len(x), device=x.device), end]
        x = F.layer_norm(
            x, x.shape[-1:], self.ln_final_weight, self.ln_final_bias, self.eps
        )
        return x @ self.text_projection


class _Block(nn.Module):
    """A pre-norm residual block with causal self-attention."""

    def __init__(
        self, clip: ClipText, prefix: str, heads: int, eps: float, quick_gelu: bool
    ):
        super().__init__()
        self.heads, self.eps, self.quick_gelu = heads, eps, quick_gelu
        for name in (
            "ln_1.weight",
            "ln_1.bias",
            "attn.in_proj_weight",
            "attn.in_proj_bias",
            "attn.out_proj.weight",
            "attn.out_proj.bias",
            "ln_2.weight",
            "ln_2.bias",
            "mlp.c_fc.weight",
            "mlp.c_fc.bias",
            "mlp.c_proj.weight",
            "mlp.c_proj.bias",
        ):
            tensor = clip.tensor(prefix + name)
            self.register_buffer(name.replace(".", "_"), tensor, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        batch, length, width = x.shape
        h = F.layer_norm(x, (width,), self.ln_1_weight, self.ln_1_bias, self.eps)
        qkv = F.linear(h, self.attn_in_proj_weight, self.attn_in_proj_bias)
        qkv = qkv.view(batch, length, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        h = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        h = h.transpose(1, 2).reshape(batch, length, width)
        x = x + F.linear(h, self.attn_out_proj_weight, self.attn_out_proj_bias)
        h = F.layer_norm(x, (width,), self.ln_2_weight, self.ln_2_bias, self.eps)
        h = F.linear(h, self.mlp_c_fc_weight, self.mlp_c_fc_bias)
        h = _QuickGELU.apply(h) if self.quick_gelu else F.gelu(h)
        return x + F.linear(h, self.mlp_c_proj_weight, self.mlp_c_proj_bias)


class _QuickGELU(torch.autograd.Function):
    """h sigmoid(1.702 h); of three tensors of h's size it keeps one, the slope."""

    @staticmethod
    def forward(ctx, h: Tensor) -> Tensor:
        s = torch.sigmoid(1.702 * h)
        out = h * s
        if ctx.needs_input_grad[0]:
            # The slope is s + 1.702 h s (1 - s) = s (1 + 1.702 (h - out)).
            ctx.save_for_backward(s.mul_((h - out).mul_(1.702).add_(1)))
        return out

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:
        (slope,) = ctx.saved_tensors
        return grad * slope
