"""Semantic attention of ADD-GCN (Ye et al., ECCV 2020), the variant of Fig. 4.

Two 1x1 convolutions in the published code (`models/add_gcn.py`), not the "stacked
convolutional layers" of the paper's text: class activation maps through a sigmoid, and
a transformed map that they weight and sum over the locations.
"""

import torch
from torch import Tensor, nn

from mlrpl.options import Options
from mlrpl.visual.inputs import VisualInputs


class SemanticAttention(nn.Module):
    """Class vectors V_c = sum_l sigmoid(a_cl) (T f_l + t), mapped to the text space."""

    reads = "map"

    def __init__(self, map_channels: int, classes: int, joint_dim: int, embed_dim: int):
        """Draw the weights as `nn.Linear` does."""
        super().__init__()
        self.activation = nn.Linear(map_channels, classes, bias=False)
        self.transform = nn.Linear(map_channels, joint_dim)
        self.to_text = nn.Linear(joint_dim, embed_dim)

    @classmethod
    def from_options(
        cls, options: Options, inputs: VisualInputs
    ) -> "SemanticAttention":
        """Build the module with `joint_dim` channels in the transformed map.

        With `projection: clip` the transform is into CLIP's joint space and starts as
        CLIP's own map, and the map to the text space as the identity.
        """
        clip = options.projection == "clip"
        module = cls(
            inputs.map_channels,
            len(inputs.class_vectors),
            inputs.embed_dim if clip else options.joint_dim,
            inputs.embed_dim,
        )
        if clip:
            weight, bias = inputs.clip.visual_projection()
            with torch.no_grad():
                module.transform.weight.copy_(weight.T)
                module.transform.bias.copy_(bias)
                nn.init.eye_(module.to_text.weight)
                nn.init.zeros_(module.to_text.bias)
        return module

    def forward(self, features: Tensor) -> Tensor:
        """Return class features [B, C, D] of maps [B, L, K]."""
        mask = torch.sigmoid(self.activation(features)).transpose(1, 2)
        return self.to_text(mask @ self.transform(features))
