"""Prompts `[V]_1 ... [V]_M [CLS]` with learnable context vectors (Eq. 7)."""

from typing import TypedDict

import torch
from torch import Tensor, nn

from mlrpl.errors import UserError
from mlrpl.text.clip_text import ClipText
from mlrpl.text.packing import Packing


class PromptOptions(TypedDict):
    """Options of the prompts, as heads take them.

    Attributes:
        prompts: "shared" or "class_specific" context vectors.
        n_ctx: number M of context vectors.
        context_std: standard deviation of their random start.
        period: end the prompt with a full stop.
    """

    prompts: str
    n_ctx: int
    context_std: float
    period: bool


class Prompts(nn.Module):
    """Embedded prompts of all classes, shared or class-specific.

    `shared` is CoOp's one context for all classes, `class_specific` the paper's own
    context for each (CoOp calls it class-specific context, CSC).
    """

    def __init__(
        self,
        clip: ClipText,
        n_ctx: int,
        class_specific: bool,
        period: bool,
        context_length: int,
        std: float,
        context: Tensor | None = None,
    ):
        """Embed what is fixed and start the context vectors.

        Args:
            clip: the text side of CLIP.
            n_ctx: number M of context vectors; ignored when `context` is given.
            class_specific: one context a class, or one for all.
            period: end the prompt with a full stop.
            context_length: the longest sequence that the text tower takes.
            std: standard deviation of the random start N(0, std^2), CoOp's 0.02.
            context: start of the context [M, W], the embedding of a text.

        Raises:
            UserError: when a prompt is longer than the text tower's context.
        """
        super().__init__()
        start, end, stop = (int(clip.metadata[k]) for k in ("sot", "eot", "period"))
        suffixes = [
            [*tokens, *([stop] if period else []), end] for tokens in clip.class_tokens
        ]
        prefix = clip.embed([start])
        width = prefix.shape[1]
        if context is not None:
            n_ctx = len(context)
        longest = max(map(len, suffixes))
        if 1 + n_ctx + longest > context_length:
            name = clip.classes[[len(s) for s in suffixes].index(longest)]
            raise UserError(
                f"class {name!r}: its prompt takes {1 + n_ctx + longest} tokens and "
                f"the text tower has {context_length}; lower n_ctx"
            )
        tokens = [token for suffix in suffixes for token in suffix]
        self.register_buffer("prefix", prefix, persistent=False)
        self.register_buffer("suffix", clip.embed(tokens), persistent=False)
        self.packing = Packing(n_ctx, class_specific, [len(s) for s in suffixes])
        shape = (len(suffixes), n_ctx, width) if class_specific else (n_ctx, width)
        if context is None:
            vectors = std * torch.randn(shape)
        else:
            vectors = context.expand(shape).clone()
        self.context = nn.Parameter(vectors)

    @classmethod
    def of(
        cls,
        clip: ClipText,
        options: PromptOptions,
        context_length: int,
        context: Tensor | None = None,
    ) -> "Prompts":
        """Return the prompts of a head's options; arguments and errors as above."""
        return cls(
            clip,
            n_ctx=options["n_ctx"],
            class_specific=options["prompts"] == "class_specific",
            period=options["period"],
            context_length=context_length,
            std=options["context_std"],
            context=context,
        )

    def forward(self) -> tuple[Tensor, Packing]:
        """Return the embedded tokens [N, W] of all prompts, and where they are."""
        context = self.context.flatten(0, -2)
        return torch.cat([self.prefix, context, self.suffix]), self.packing
