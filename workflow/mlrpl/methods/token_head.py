"""What the heads share that compare prompts with every location of an image.

DualCoOp and what followed it: the tokens of an image (`encoder.tokens`) and the text
features of several prompts for each class, of its presence and of its absence. A class
weighs the tokens by their likeness to one of its prompts, and pools by these weights
the likeness to each of the others.
"""

from collections.abc import Sequence
from typing import Unpack

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mlrpl.methods.base import Head
from mlrpl.methods.inputs import Inputs
from mlrpl.methods.precision import at_least_fp32, fp32_products
from mlrpl.text.prompts import PromptOptions, Prompts
from mlrpl.text.tower import TextTower


class TokenHead(Head):
    """A head on tokens, with as many learned prompts for a class as it has names.

    Trained are the context vectors; CLIP's weights are frozen. All classes share the
    tokens, so that there are no class features.
    """

    reads = "tokens"
    has_class_features = False

    def __init__(
        self,
        inputs: Inputs,
        names: Sequence[str],
        **options: Unpack[PromptOptions],
    ):
        """Draw the context vectors of each kind of prompt.

        Args:
            inputs: the text side of CLIP.
            names: of the kinds of prompts.
            options: of the prompts.
        """
        super().__init__()
        self.tower = TextTower(inputs.clip)
        self.prompts = nn.ModuleDict(
            {
                name: Prompts.of(inputs.clip, options, self.tower.context_length)
                for name in names
            }
        )

    def prepare(self) -> Tensor:
        """Return the text features of each kind of prompt, [S, C, D]."""
        texts = [self.tower(*prompts()) for prompts in self.prompts.values()]
        return at_least_fp32(torch.stack(texts))

    def class_features(self, features: Tensor) -> Tensor:
        """Return the tokens [B, T, D] themselves, which all classes share."""
        return features


def with_mean(tokens: Tensor, positions: Tensor) -> Tensor:
    """Return tokens [B, T, D] behind their mean, with position embeddings.

    Args:
        tokens: without position embeddings.
        positions: what these add, [1 + T, D].

    Returns:
        [B, 1 + T, D].
    """
    return torch.cat([tokens.mean(dim=1, keepdim=True), tokens], dim=1) + positions


def cosines(tokens: Tensor, text: Tensor) -> Tensor:
    """Return the cosines [B, T, C] of tokens [B, T, D] and text features [C, D]."""
    with fp32_products(tokens.device):
        return F.normalize(tokens, dim=-1) @ F.normalize(text, dim=-1).T


def pooled(likeness: Tensor, *values: Tensor) -> tuple[Tensor, ...]:
    """Return means over the tokens of values [B, T, C], each [B, C].

    Args:
        likeness: of a class and a token [B, T, C]; its softmax over the tokens weighs
            them.
        values: what is pooled.
    """
    weights = likeness.softmax(dim=1)
    return tuple((weights * value).sum(dim=1) for value in values)
