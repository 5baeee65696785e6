"""TaI-DPT in its mode for partial labels (Guo et al., CVPR 2023).

DualCoOp on tokens without position embeddings, with two learned temperatures and no
token for the mean. `DenseCLIP.forward` of trainers/Caption_dual.py in guozix/TaI-DPT,
of which this mode trains and scores the local logits alone. What the paper is named
after, prompts that are learned from texts, is another training.
"""

from typing import Unpack

import torch
from torch import Tensor, nn

from mlrpl.methods.inputs import Inputs
from mlrpl.methods.token_head import TokenHead, cosines, pooled
from mlrpl.text.prompts import PromptOptions

# Logarithms of the two temperatures at the start.
LOG_SCALE, LOG_SHARPNESS = 3.91, 3.0


class TaIDPTHead(TokenHead):
    """Logits z+ - z- with learned scales of the cosines and of the weights."""

    def __init__(self, inputs: Inputs, **options: Unpack[PromptOptions]):
        """Draw the context vectors; see `TokenHead`."""
        super().__init__(inputs, ("positive", "negative"), **options)
        self.log_scale = nn.Parameter(torch.tensor(LOG_SCALE))
        self.log_sharpness = nn.Parameter(torch.tensor(LOG_SHARPNESS))

    def logits(self, class_features: Tensor, prepared: Tensor) -> Tensor:
        """Return the logits [B, C] of tokens [B, T, D] and text features [2, C, D]."""
        present, absent = (cosines(class_features, text) for text in prepared)
        high, low = pooled(self.log_sharpness.exp() * present, present, absent)
        return self.log_scale.exp() * (high - low)
