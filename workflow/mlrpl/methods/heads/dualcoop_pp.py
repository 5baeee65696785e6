"""DualCoOp++: a third prompt that says where to look (Hu et al., TPAMI 2024).

Its authors published no code; this is that of a third party of the same university,
`DenseCLIP.forward` of trainers/Caption_tri_wta_soft.py in
kjmillerCURIS/dualcoopstarstar. Tokens are without position embeddings. At each token
the classes compete: a softmax over them, the sharper the more any of them resembles it,
changes the likeness to the presence's prompt.
"""

import math
from typing import Unpack

import torch
from torch import Tensor, nn

from mlrpl.methods.inputs import Inputs
from mlrpl.methods.token_head import TokenHead, cosines, pooled
from mlrpl.text.prompts import PromptOptions

# The scale of the pooled cosines is exp(3), frozen; that of the competition is fixed.
SCALE, COMPETITION = math.exp(3.0), 200.0
LOG_SHARPNESS = 3.0


class DualCoOpPlusHead(TokenHead):
    """Logits z+ - z-, pooled by the tokens' likeness to the evidence's prompt."""

    def __init__(
        self,
        inputs: Inputs,
        *,
        winner: str,
        **options: Unpack[PromptOptions],
    ):
        """Draw the context vectors.

        Args:
            inputs: the text side of CLIP.
            winner: how the classes' competition for a token counts (`competed`).
            options: of the prompts; see `TokenHead`.
        """
        super().__init__(inputs, ("evidence", "positive", "negative"), **options)
        self.winner = winner
        self.log_sharpness = nn.Parameter(torch.tensor(LOG_SHARPNESS))

    def logits(self, class_features: Tensor, prepared: Tensor) -> Tensor:
        """Return the logits [B, C] of tokens [B, T, D] and text features [3, C, D]."""
        evidence, present, absent = (cosines(class_features, text) for text in prepared)
        won, lost = competition(present, self.winner)
        competed, absent = present * won, absent * lost
        high, low = pooled(self.log_sharpness.exp() * evidence, competed, absent)
        return SCALE * (high - low)


def competition(present: Tensor, winner: str) -> tuple[Tensor, Tensor]:
    """Return factors [B, T, C] of the cosines with presence and absence.

    Args:
        present: the cosines with the presence's prompts, [B, T, C].
        winner: "normalized", a class's share of a token by the largest one (`pos_norm`
            of the code, for COCO); "raised", 1 and its share (`pos200`, for VOC);
            "share", its share alone (`pos_test`); "raised_both" and "share_both", the
            absence by a share too, the sharper the less the least class resembles the
            token (`pos_neg`, `pos_neg_test`).
    """
    share = (COMPETITION * present * present.amax(dim=-1, keepdim=True)).softmax(dim=-1)
    if winner == "normalized":
        share = share / share.amax(dim=-1, keepdim=True)
    other = torch.ones_like(share)
    if winner.endswith("_both"):
        least = present.amin(dim=-1, keepdim=True)
        other = (COMPETITION * present * least).softmax(dim=-1)
    if not winner.startswith("raised"):
        return share, other
    return 1 + share, other if winner == "raised" else 1 + other
