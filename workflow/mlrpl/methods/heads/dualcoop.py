"""DualCoOp: a prompt for a class's presence and one for its absence (NeurIPS 2022).

Sun, Hu and Saenko. `DualCoop.forward` of sunxm2357/DualCoOp, whose two-way softmax is
the sigmoid of the difference of its logits. Its loss is the partial asymmetric one,
summed over the images too and times 0.03, which with its batch of 32 is the mean over
the images within 4 %.
"""

from typing import Unpack

from torch import Tensor

from mlrpl.methods.inputs import Inputs
from mlrpl.methods.token_head import TokenHead, cosines, pooled, with_mean
from mlrpl.text.prompts import PromptOptions

# Of the cosines, and of what is pooled; both fixed in the public code.
SCALE, GAIN = 20.0, 5.0


class DualCoOpHead(TokenHead):
    """Logits z+ - z-, each pooled by the tokens' likeness to the presence's prompt."""

    positions: Tensor

    def __init__(self, inputs: Inputs, **options: Unpack[PromptOptions]):
        """Draw the context vectors; see `TokenHead`."""
        super().__init__(inputs, ("negative", "positive"), **options)
        self.register_buffer("positions", inputs.token_positions.clone())

    def logits(self, class_features: Tensor, prepared: Tensor) -> Tensor:
        """Return the logits [B, C] of tokens [B, T, D] and text features [2, C, D]."""
        tokens = with_mean(class_features, self.positions)
        return dual_logits(tokens, *prepared)


def dual_logits(tokens: Tensor, negative: Tensor, positive: Tensor) -> Tensor:
    """Return the logits [B, C] of tokens [B, T, D].

    Args:
        tokens: the tokens.
        negative: text features [C, D] of the classes' absence.
        positive: of their presence.
    """
    present, absent = (SCALE * cosines(tokens, text) for text in (positive, negative))
    high, low = pooled(present, present, absent)
    return GAIN * (high - low)
