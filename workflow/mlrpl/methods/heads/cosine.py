"""Cosine of visual and text features (Fig. 2): CoOp, and the paper's own method.

`coop`, `coop_csp`, `coop_sd` and `sarl` are this head with another visual module and
other prompts; `sarl+visual=semantic_attention` is the variant of Fig. 4.
"""

import math
from typing import Unpack

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mlrpl.config.options import Options
from mlrpl.methods.base import Group, Head, Located
from mlrpl.methods.inputs import Inputs
from mlrpl.methods.parts import part_class
from mlrpl.methods.precision import at_least_fp32, fp32_products
from mlrpl.text.prompts import PromptOptions, Prompts
from mlrpl.text.tower import TextTower


class CosineHead(Head):
    """Scaled cosine of each class's visual feature and its prompt's text feature.

    Trained are the visual module, the context vectors and, if asked for, the logarithm
    of the scale. CLIP's weights are frozen.
    """

    def __init__(
        self,
        inputs: Inputs,
        visual: nn.Module,
        *,
        scale: float | str,
        scale_learned: bool,
        context_init: str,
        lr_visual: float,
        **options: Unpack[PromptOptions],
    ):
        """Draw the context vectors.

        Args:
            inputs: sizes, the text side of CLIP, and the start of the context.
            visual: the visual module.
            scale: 1 / tau of Eq. 9, or "clip" for CLIP's own.
            scale_learned: train the scale, from there on.
            context_init: "random", or the text that `inputs.context` stands for.
            lr_visual: the visual module's rate as a multiple of the setting's.
            options: of the prompts.
        """
        super().__init__()
        clip = inputs.clip
        self.visual = visual
        self.reads = visual.reads
        self.has_class_features = visual.per_class
        self.class_dim = inputs.embed_dim
        self.has_evidence = hasattr(visual, "located")
        self.lr_visual = lr_visual
        self.tower = TextTower(clip)
        context = None if context_init == "random" else inputs.context
        length = self.tower.context_length
        self.prompts = Prompts.of(clip, options, length, context)
        log_scale = math.log(clip.logit_scale if scale == "clip" else float(scale))
        if scale_learned:
            self.log_scale = nn.Parameter(torch.tensor(log_scale))
        else:
            tensor = torch.tensor(log_scale)
            self.register_buffer("log_scale", tensor, persistent=False)

    @classmethod
    def from_options(cls, options: Options, inputs: Inputs) -> "CosineHead":
        """Build the head; visual module and prompts start from the same seed.

        So a change of one leaves the other's start as it was.
        """
        state = torch.get_rng_state()
        chosen = options.part(cls.kind)
        module = part_class("visual", chosen.pop("visual"))
        visual = module(inputs, **options.part("visual"))
        torch.set_rng_state(state)
        return cls(inputs, visual, **chosen)

    def prepare(self) -> Tensor:
        """Return the classes' text features [C, D], normalised (Eq. 8)."""
        text = self.tower(*self.prompts())
        return F.normalize(at_least_fp32(text), dim=-1)

    def class_features(self, features: Tensor) -> Tensor:
        """Return the visual features [B, C, D], or [B, 1, D] (Eq. 3-6)."""
        return self.visual(features)

    def located(self, features: Tensor) -> Located:
        """Return the visual features [B, C, D] and the evidence [B, C, L]."""
        return self.visual.located(features)

    def logits(self, class_features: Tensor, prepared: Tensor) -> Tensor:
        """Return the scaled cosines [B, C] (Eq. 9)."""
        with fp32_products(class_features.device):
            visual = F.normalize(class_features, dim=-1)
            if visual.shape[1] == 1:
                cosine = visual[:, 0] @ prepared.T
            else:
                cosine = (visual * prepared).sum(-1)
            return self.log_scale.exp() * cosine

    def groups(self) -> list[Group]:
        """Return the visual module at its own rate, and the rest."""
        visual = list(self.visual.parameters())
        named = self.named_parameters()
        rest = [p for name, p in named if not name.startswith("visual.")]
        return [Group(visual, self.lr_visual), Group(rest)]
