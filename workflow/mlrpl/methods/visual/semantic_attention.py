"""Semantic attention of ADD-GCN (Ye et al., ECCV 2020), the variant of Fig. 4.

Two 1x1 convolutions in the published code (`models/add_gcn.py`), not the "stacked
convolutional layers" of the paper's text: class activation maps through a sigmoid, and
a transformed map that they weight and sum over the locations.
"""

import torch
from torch import Tensor, nn

from mlrpl.methods.base import Located
from mlrpl.methods.decoupling import evidence
from mlrpl.methods.inputs import Inputs


class SemanticAttention(nn.Module):
    """Class vectors V_c = sum_l sigmoid(a_cl) (T f_l + t), mapped to the text space."""

    reads = "map"
    per_class = True

    def __init__(self, inputs: Inputs, *, joint_dim: int, projection: str = "random"):
        """Draw the weights as `nn.Linear` does.

        Args:
            inputs: sizes, and CLIP's own map for `projection`.
            joint_dim: channels of the transformed map.
            projection: with "clip" the transform is into CLIP's joint space and starts
                as CLIP's own map, and the map to the text space as the identity.
        """
        super().__init__()
        channels, embed_dim = inputs.map_channels, inputs.embed_dim
        clip = projection == "clip"
        joint_dim = embed_dim if clip else joint_dim
        self.activation = nn.Linear(channels, inputs.classes, bias=False)
        self.transform = nn.Linear(channels, joint_dim)
        self.to_text = nn.Linear(joint_dim, embed_dim)
        if clip:
            weight, bias = inputs.clip.visual_projection()
            with torch.no_grad():
                self.transform.weight.copy_(weight.T)
                self.transform.bias.copy_(bias)
                nn.init.eye_(self.to_text.weight)
                nn.init.zeros_(self.to_text.bias)

    def forward(self, features: Tensor) -> Tensor:
        """Return class features [B, C, D] of maps [B, L, K]."""
        return self._pooled(features, self._mask(features))

    def located(self, features: Tensor) -> Located:
        """Return class features [B, C, D] and the evidence of the map, [B, C, L]."""
        mask = self._mask(features)
        return Located(self._pooled(features, mask), evidence(mask, features))

    def _mask(self, features: Tensor) -> Tensor:
        return torch.sigmoid(self.activation(features)).transpose(1, 2)

    def _pooled(self, features: Tensor, mask: Tensor) -> Tensor:
        return self.to_text(mask @ self.transform(features))
