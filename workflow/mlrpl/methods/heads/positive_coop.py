"""PositiveCoOp: DualCoOp without words for a class's absence (WACV 2025).

Rawlekar, Bhatnagar and Ahuja. A free vector stands for the absence of each class, and
another is added to the text feature of its presence. `models/positivecoop.py` of
SamyakR99/PositiveCoOp; `models/baseline.py` there, its baseline without text, is
`VisionOnlyHead`.
"""

from typing import Unpack

import torch
from torch import Tensor, nn

from mlrpl.methods.base import Group, Head
from mlrpl.methods.heads.dualcoop import GAIN, dual_logits
from mlrpl.methods.inputs import Inputs
from mlrpl.methods.token_head import TokenHead, pooled, with_mean
from mlrpl.text.prompts import PromptOptions


class PositiveCoOpHead(TokenHead):
    """DualCoOp's logits with free vectors in the place of the absence's text.

    Both vectors start from N(0, 1): at first the one that is added is longer than
    CLIP's text feature, as in the public code.
    """

    positions: Tensor

    def __init__(
        self,
        inputs: Inputs,
        *,
        lr_prompts: float,
        **options: Unpack[PromptOptions],
    ):
        """Draw context and free vectors.

        Args:
            inputs: the text side of CLIP, and the tokens' positions.
            lr_prompts: rate of the context vectors as a multiple of the setting's.
            options: of the prompts; see `TokenHead`.
        """
        super().__init__(inputs, ("positive",), **options)
        shape = inputs.classes, inputs.embed_dim
        self.absent = nn.Parameter(torch.randn(shape))
        self.added = nn.Parameter(torch.randn(shape))
        self.lr_prompts = lr_prompts
        self.register_buffer("positions", inputs.token_positions.clone())

    def logits(self, class_features: Tensor, prepared: Tensor) -> Tensor:
        """Return the logits [B, C] of tokens [B, T, D] and text features [1, C, D]."""
        tokens = with_mean(class_features, self.positions)
        return dual_logits(tokens, self.absent, prepared[0] + self.added)

    def groups(self) -> list[Group]:
        """Return the context vectors at their own rate, and the free vectors."""
        prompts = list(self.prompts.parameters())
        return [Group(prompts, self.lr_prompts), Group([self.absent, self.added])]


class VisionOnlyHead(Head):
    """PositiveCoOp's baseline: two linear classifiers for each class on the tokens.

    Each output is pooled by a softmax over the tokens of its own; the logit is the
    difference of the two, times 5. The tokens are not normalised.
    """

    reads = "tokens"
    has_class_features = False
    positions: Tensor

    def __init__(self, inputs: Inputs):
        """Draw the classifiers as `nn.Linear` does, those of the absence first."""
        super().__init__()
        self.classifier = nn.Linear(inputs.embed_dim, 2 * inputs.classes)
        self.register_buffer("positions", inputs.token_positions.clone())

    def class_features(self, features: Tensor) -> Tensor:
        """Return the tokens [B, T, D] themselves, which all classes share."""
        return features

    def logits(self, class_features: Tensor, prepared: None) -> Tensor:
        """Return the logits [B, C] of tokens [B, T, D]."""
        outputs = self.classifier(with_mean(class_features, self.positions))
        (found,) = pooled(outputs, outputs)
        absent, present = found.chunk(2, dim=1)
        return GAIN * (present - absent)
