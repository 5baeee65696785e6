"""Tokens: every location of the map, projected into the joint space.

What the heads read that compare a text with each location (DualCoOp, TaI-DPT). In
CLIP's ResNets a token is c_proj(v_proj(x)) of a location x before the 2x2 pooling,
14x14 of them at 448 px. DualCoOp adds CLIP's position embeddings to x, and has the mean
of the locations as one more token. Both projections are affine: an embedding adds the
same to a token of every image, and the mean of the tokens is the token of the mean. So
the tokens are stored without position embeddings, and what these add stands beside them
once. A tower of another kind has its own linear map into the joint space in the place
of the two (MaskCLIP has it so for transformers), and no embeddings that pooling adds.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mlrpl.encoder.towers import Tower, flatten, make_tower
from mlrpl.errors import UserError


class EncodedTokens(NamedTuple):
    """Tokens of a batch.

    Attributes:
        tokens: [B, T, D], locations row by row, not normalised.
        grid: rows and columns of the locations; T is their product.
    """

    tokens: Tensor
    grid: tuple[int, int]

    def arrays(self) -> dict[str, Tensor]:
        """Return the features by the names that they have in a file."""
        return {"tokens": self.tokens}


class TokenTower:
    """The tokens of an image tower."""

    def __init__(self, tower: Tower):
        """Take the adapter of the tower.

        Raises:
            UserError: when its map has no linear way into the joint space.
        """
        projection = tower.projection()
        if projection is None:
            raise UserError(
                "encoder model: its image tower has no linear map into the joint "
                "space, from which tokens are made; choose one of CLIP's models, or "
                "methods that read no tokens"
            )
        self._tower = tower
        self._weight, self._bias = projection

    def encode(self, images: Tensor) -> EncodedTokens:
        """Return the tokens of normalised images [B, 3, S, S]."""
        flat, grid = flatten(self._tower.whole_map(images))
        weight, bias = (t.to(flat.device) for t in (self._weight, self._bias))
        return EncodedTokens(flat @ weight.to(flat.dtype) + bias, grid)

    def positions(self, grid: tuple[int, int]) -> Tensor:
        """Return what position embeddings add to the mean token and the others.

        Args:
            grid: of the tokens; the embeddings are interpolated to it bicubically, as
                in DualCoOp's code.

        Returns:
            [1 + T, D], fp32; zeros where pooling adds no embeddings.
        """
        embedding = self._tower.positions()
        if embedding is None:
            return torch.zeros(1 + grid[0] * grid[1], self._weight.shape[1])
        embedding = resized_positions(embedding.float(), grid)
        return embedding.cpu() @ self._weight.float().cpu()


def make_reader(visual: nn.Module, tokens: bool) -> Tower | TokenTower:
    """Return what gives the features of an image tower, or its tokens.

    Raises:
        UserError: the tower gives no map (`towers.make_tower`), or no tokens.
    """
    tower = make_tower(visual)
    return TokenTower(tower) if tokens else tower


def resized_positions(embedding: Tensor, grid: tuple[int, int]) -> Tensor:
    """Return position embeddings [1 + H W, K] of another grid; the first one stays."""
    side = round((len(embedding) - 1) ** 0.5)
    square = embedding[1:].T.reshape(1, -1, side, side)
    if (side, side) != tuple(grid):
        square = F.interpolate(square, grid, mode="bicubic", align_corners=False)
    return torch.cat([embedding[:1], square[0].flatten(1).T])
