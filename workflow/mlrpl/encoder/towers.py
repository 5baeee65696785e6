"""Spatial features of frozen image towers: a 2x2-pooled map and CLIP's own feature.

One adapter for each class of open_clip's image towers. Each gives a map before the
projection into the joint space, the model's own image feature, and, where the tower has
one, the linear map from one to the other.
"""

import copy
import itertools
import sys
from typing import Any, NamedTuple, Protocol

import torch
import torch.nn.functional as F
from open_clip.modified_resnet import AttentionPool2d, ModifiedResNet
from open_clip.timm_model import TimmModel
from open_clip.transformer import VisionTransformer
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from mlrpl.errors import UserError


class Encoded(NamedTuple):
    """Features of a batch.

    Attributes:
        map: [B, L, K], locations row by row.
        grid: rows and columns of the locations; L is their product.
        feature: the model's own image feature [B, D], not normalised.
        maximum: the maximum over the locations before the 2x2 pooling, [B, K], which
            is ML-GCN's feature; the pooled map's maximum is another one.
    """

    map: Tensor
    grid: tuple[int, int]
    feature: Tensor
    maximum: Tensor

    def arrays(self) -> dict[str, Tensor]:
        """Return the features by the names that they have in a file."""
        return {"map": self.map, "global": self.feature, "max": self.maximum}


class Tower(Protocol):
    """What all adapters offer."""

    channels: int
    """K, the channels of the map."""

    def encode(self, images: Tensor) -> Encoded:
        """Return the features of normalised images [B, 3, S, S]."""
        ...

    def whole_map(self, images: Tensor) -> Tensor:
        """Return the map of normalised images before its 2x2 pooling, [B, K, H, W]."""
        ...

    def projection(self) -> tuple[Tensor, Tensor] | None:
        """Return weight [K, D] and bias [D] of the map's way into the joint space.

        None where the way is not linear.
        """
        ...

    def positions(self) -> Tensor | None:
        """Return position embeddings that pooling adds to the map, [1 + P^2, K].

        The first is of the mean of the locations. None where pooling adds none.
        """
        ...


def make_tower(visual: nn.Module) -> Tower:
    """Return the adapter of an open_clip image tower.

    Raises:
        UserError: when the tower gives no map, or is of an unknown class.
    """
    if isinstance(visual, ModifiedResNet):
        return ResNetTower(visual)
    if isinstance(visual, TimmModel):
        return TimmTower(visual)
    if isinstance(visual, VisionTransformer):
        return TransformerTower(visual)
    raise _unsupported(type(visual).__name__, "is of no supported class")


class ResNetTower:
    """CLIP's ModifiedResNet.

    The map is that of `layer4`: 14x14 at 448 px, pooled to 7x7. That is the grid at 224
    px, for which CLIP's attention pooling has its position embeddings, so the image
    feature is the attention pooling of the pooled map, and nothing is interpolated. At
    other sizes the position embeddings are, bicubically.
    """

    def __init__(self, visual: ModifiedResNet):
        self._visual = without_normalisation(visual)
        self._pool = visual.attnpool
        self.channels: int = visual.attnpool.v_proj.in_features

    def encode(self, images: Tensor) -> Encoded:
        """Return the features of normalised images [B, 3, S, S]."""
        whole = self.whole_map(images)
        maps = _pooled(whole)
        flat, grid = flatten(maps)
        if len(self._pool.positional_embedding) != 1 + grid[0] * grid[1]:
            self._pool = resized_pool(self._visual.attnpool, grid)
        return Encoded(flat, grid, self._pool(maps), _maximum(whole))

    def whole_map(self, images: Tensor) -> Tensor:
        """Return the map of `layer4`, [B, K, H, W]."""
        out = self._visual.forward_intermediates(
            images, indices=1, intermediates_only=True
        )
        return out["image_intermediates"][0]

    def projection(self) -> tuple[Tensor, Tensor]:
        """Return v_proj followed by c_proj, which is one linear map.

        It is what attention pooling does to the value of each location, but for the
        position embedding (as in TaI-DPT and DualCoOp).
        """
        return value_projection(self._visual.attnpool)

    def positions(self) -> Tensor:
        """Return the embeddings of the attention pooling, [1 + P^2, K]."""
        return self._visual.attnpool.positional_embedding.detach()


class TimmTower:
    """A convolutional network of timm, its map 2x2-pooled before its own head."""

    def __init__(self, visual: TimmModel):
        trunk = visual.trunk
        # open_clip tells networks with a spatial output by this entry, too.
        if not trunk.default_cfg.get("pool_size"):
            raise _unsupported(type(trunk).__name__, "gives no spatial map")
        if str(getattr(trunk, "output_fmt", "NCHW")).split(".")[-1] != "NCHW":
            raise _unsupported(type(trunk).__name__, "has its channels last")
        self._visual = visual
        self.channels: int = trunk.num_features

    def encode(self, images: Tensor) -> Encoded:
        """Return the features of normalised images [B, 3, S, S]."""
        whole = self.whole_map(images)
        maps = _pooled(whole)
        feature = self._visual.head(self._visual.trunk.forward_head(maps))
        return Encoded(*flatten(maps), feature, _maximum(whole))

    def whole_map(self, images: Tensor) -> Tensor:
        """Return the network's last map, [B, K, H, W]."""
        return self._visual.trunk.forward_features(images)

    def projection(self) -> tuple[Tensor, Tensor] | None:
        """Return the head's linear map, if nothing but a mean comes before it."""
        trunk, head = self._visual.trunk, self._visual.head
        linear = getattr(head, "proj", None) if len(head) else trunk.get_classifier()
        if not isinstance(linear, nn.Linear) or hasattr(head, "pool"):
            return None
        # A network may have layers between pooling and head: try it on one location.
        probe = torch.linspace(-1, 1, 2 * self.channels).view(2, self.channels, 1, 1)
        probe = probe.to(linear.weight.device)
        before = trunk.forward_head(probe, pre_logits=True).flatten(1)
        if not torch.equal(before, probe.flatten(1)):
            return None
        return linear.weight.detach().T, _bias(linear.bias, linear.out_features)

    def positions(self) -> None:
        """Return None: a mean over the locations adds nothing."""


class TransformerTower:
    """A VisionTransformer: the patch tokens after the last normalisation."""

    def __init__(self, visual: VisionTransformer):
        if visual.attn_pool is not None or visual.pool_type == "none":
            raise _unsupported(
                "VisionTransformer", "pools its tokens by a learned attention"
            )
        self._visual = visual
        self.channels: int = visual.ln_post.normalized_shape[0]

    def encode(self, images: Tensor) -> Encoded:
        """Return the features of normalised images [B, 3, S, S]."""
        out = self._outputs(images)
        whole = out["image_intermediates"][-1]
        flat, grid = flatten(_pooled(whole))
        return Encoded(flat, grid, out["image_features"], _maximum(whole))

    def whole_map(self, images: Tensor) -> Tensor:
        """Return the patch tokens after the last normalisation, [B, K, H, W]."""
        return self._outputs(images)["image_intermediates"][-1]

    def projection(self) -> tuple[Tensor, Tensor]:
        """Return the linear map of the pooled token."""
        weight = self._visual.proj.detach()
        return weight, _bias(None, weight.shape[1])

    def positions(self) -> None:
        """Return None: a transformer's embeddings are in its map."""

    def _outputs(self, images: Tensor) -> dict[str, Any]:
        return self._visual.forward_intermediates(
            images, indices=1, normalize_intermediates=True
        )


def without_normalisation(visual: ModifiedResNet) -> ModifiedResNet:
    """Return a copy whose convolutions do the work of their batch normalisations.

    With frozen statistics these are a factor and a constant for each channel, which go
    into the weights and the bias of the convolution before.
    """
    visual = copy.deepcopy(visual)
    for module in list(visual.modules()):
        names = [name for name, _ in module.named_children()]
        pairs = [(f"conv{i}", f"bn{i}") for i in (1, 2, 3) if f"bn{i}" in names]
        if isinstance(module, nn.Sequential):  # a block's own way around it
            pairs = [
                (a, b)
                for a, b in itertools.pairwise(names)
                if isinstance(getattr(module, b), nn.BatchNorm2d)
            ]
        for convolution, normalisation in pairs:
            found = [getattr(module, name) for name in (convolution, normalisation)]
            setattr(module, convolution, fuse_conv_bn_eval(*found))
            setattr(module, normalisation, nn.Identity())
    return visual


def value_projection(pool: AttentionPool2d) -> tuple[Tensor, Tensor]:
    """Return weight [K, D] and bias [D] of v_proj followed by c_proj."""
    value, out = pool.v_proj, pool.c_proj
    weight = value.weight.double().T @ out.weight.double().T
    bias = value.bias.double() @ out.weight.double().T + out.bias.double()
    return weight.float(), bias.float()


def resized_pool(pool: AttentionPool2d, grid: tuple[int, int]) -> AttentionPool2d:
    """Return an attention pooling with position embeddings for another grid."""
    positions = pool.positional_embedding.detach()
    side = round((len(positions) - 1) ** 0.5)
    print(
        f"note: position embeddings of the attention pooling, {side}x{side}, are "
        f"interpolated to {grid[0]}x{grid[1]}; at {64 * side} px none are",
        file=sys.stderr,
    )
    square = positions[1:].T.reshape(1, -1, side, side)
    square = F.interpolate(
        square, grid, mode="bicubic", align_corners=False, antialias=True
    )
    resized = copy.deepcopy(pool)
    resized.positional_embedding = nn.Parameter(
        torch.cat([positions[:1], square[0].flatten(1).T]), requires_grad=False
    )
    return resized


def _maximum(maps: Tensor) -> Tensor:
    return maps.amax(dim=(2, 3))


def _pooled(maps: Tensor) -> Tensor:
    """Return the mean of each 2x2 locations; an odd last row or column is left out."""
    if min(maps.shape[-2:]) < 2:
        raise UserError(
            f"encoder image_size: the map is {maps.shape[-2]}x{maps.shape[-1]}, too "
            "small to be pooled 2x2; set a larger size"
        )
    return F.avg_pool2d(maps, 2, 2)


def flatten(maps: Tensor) -> tuple[Tensor, tuple[int, int]]:
    """Turn [B, K, H, W] into [B, L, K] and its grid."""
    return maps.flatten(2).transpose(1, 2), (maps.shape[2], maps.shape[3])


def _bias(bias: Tensor | None, size: int) -> Tensor:
    return torch.zeros(size) if bias is None else bias.detach()


def _unsupported(tower: str, why: str) -> UserError:
    return UserError(
        f"encoder model: its image tower {tower} {why}; choose a ModifiedResNet, a "
        "VisionTransformer or a convolutional network of timm"
    )
