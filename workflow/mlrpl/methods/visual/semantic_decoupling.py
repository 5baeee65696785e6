"""The semantic decoupling module (Eq. 3-6), guided by GloVe vectors."""

import torch
from torch import Tensor, nn

from mlrpl.methods.base import Located
from mlrpl.methods.decoupling import Decoupling, evidence
from mlrpl.methods.inputs import Inputs


class SemanticDecoupling(Decoupling):
    """Attention over the locations for each class, and a linear map to the text space.

    The parameters are those of a literal implementation, by name and number: those of
    `Decoupling`, and the linear map to the text dimension.
    """

    reads = "map"

    per_class = True

    def __init__(
        self,
        inputs: Inputs,
        *,
        joint_dim: int,
        pooled: str = "fused",
        projection: str = "random",
    ):
        """Draw the weights as `nn.Linear` does.

        Args:
            inputs: sizes, GloVe vectors, and CLIP's own map for `projection`.
            joint_dim: J, width of the joint space (1024 in the paper).
            pooled: "fused", Eq. 6 sums the joint feature of Eq. 3 (1024-to-512 map), or
                "raw", it sums the map itself (2048-to-512 map).
            projection: with "clip" the map to the text space starts as CLIP's own.
        """
        channels = inputs.map_channels
        super().__init__(channels, inputs.class_vectors, joint_dim)
        self.pooled = pooled
        source = joint_dim if pooled == "fused" else channels
        self.to_text = nn.Linear(source, inputs.embed_dim)
        if projection == "clip":
            weight, bias = inputs.clip.visual_projection()
            with torch.no_grad():
                self.to_text.weight.copy_(weight.T)
                self.to_text.bias.copy_(bias)

    def forward(self, features: Tensor) -> Tensor:
        """Return class features [B, C, D] of maps [B, L, K]."""
        return self._pooled(features, *self.attend(features))

    def located(self, features: Tensor) -> Located:
        """Return class features [B, C, D] and the evidence of the map, [B, C, L]."""
        attention, joint = self.attend(features)
        pooled = self._pooled(features, attention, joint)
        return Located(pooled, evidence(attention, features))

    def _pooled(self, features: Tensor, attention: Tensor, joint: Tensor) -> Tensor:
        if self.pooled == "fused":
            # P is linear and the attention sums to 1, so P and its bias can follow the
            # sum of Eq. 6, and P and the map to the text space make one matrix.
            weight = self.to_text.weight @ self.P.weight
            bias = self.to_text(self.P.bias)
            return joint @ weight.T + bias
        # Either order is the same function; the linear map goes over what is fewer.
        if len(self.class_vectors) < features.shape[1]:
            return self.to_text(attention @ features)
        return attention @ self.to_text(features)
