"""The semantic decoupling module (Eq. 3-6), guided by GloVe vectors.

Between Eq. 3's P and Eq. 4's F_att stands no non-linearity, so the attention logit of
class c at location l is v . tanh(U f_l * V x_c) with v = P w, w the weight of F_att.
Computed that way it is the same function with the same gradients, without a product of
a [B, L, C, J] tensor with the J x J matrix P. The softmax over the locations removes
the biases of P and of F_att from the attention.
"""

import torch
from torch import Tensor, nn

from mlrpl.methods.inputs import Inputs
from mlrpl.methods.kernels.bilinear_attention import bilinear_attention


class SemanticDecoupling(nn.Module):
    """Attention over the locations for each class, and a linear map to the text space.

    The parameters are those of a literal implementation, by name and number: U, V
    without bias, P and F_att with bias, and the linear map to the text dimension.
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
        super().__init__()
        self.pooled = pooled
        vectors, channels = inputs.class_vectors.clone(), inputs.map_channels
        self.register_buffer("class_vectors", vectors, persistent=False)
        self.U = nn.Linear(channels, joint_dim, bias=False)
        self.V = nn.Linear(vectors.shape[1], joint_dim, bias=False)
        self.P = nn.Linear(joint_dim, joint_dim)
        self.F_att = nn.Linear(joint_dim, 1)
        source = joint_dim if pooled == "fused" else channels
        self.to_text = nn.Linear(source, inputs.embed_dim)
        if projection == "clip":
            weight, bias = inputs.clip.visual_projection()
            with torch.no_grad():
                self.to_text.weight.copy_(weight.T)
                self.to_text.bias.copy_(bias)

    def forward(self, features: Tensor) -> Tensor:
        """Return class features [B, C, D] of maps [B, L, K]."""
        attention, joint = self._attend(features)
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

    def attention(self, features: Tensor) -> Tensor:
        """Return the attention a of Eq. 5, [B, C, L], of maps [B, L, K]."""
        return self._attend(features)[0]

    def _attend(self, features: Tensor) -> tuple[Tensor, Tensor]:
        direction = (self.F_att.weight @ self.P.weight)[0]
        return bilinear_attention(
            self.U(features), self.V(self.class_vectors), direction
        )
