"""Attention over the locations of a map for each class, guided by word vectors.

Semantic decoupling of SSGRL (Chen et al., ICCV 2019) and, with the same attention, the
paper's Eq. 3-5. Between Eq. 3's P and Eq. 4's F_att stands no non-linearity, so the
attention logit of class c at location l is v . tanh(U f_l * V x_c) with v = P w, w the
weight of F_att. Computed that way it is the same function with the same gradients,
without a product of a [B, L, C, J] tensor with the J x J matrix P. The softmax over the
locations removes the biases of P and of F_att from the attention.
"""

import torch
from torch import Tensor, nn

from mlrpl.methods.kernels.bilinear_attention import bilinear_attention


class Decoupling(nn.Module):
    """The attention of each class over the locations of a map.

    The parameters are those of a literal implementation, by name and number: U, V
    without bias, P and F_att with bias.
    """

    class_vectors: Tensor

    def __init__(self, channels: int, class_vectors: Tensor, joint_dim: int):
        """Draw the weights as `nn.Linear` does.

        Args:
            channels: K of the map.
            class_vectors: x, word vectors [C, G] of the classes; frozen.
            joint_dim: J, width of the joint space.
        """
        super().__init__()
        self.register_buffer("class_vectors", class_vectors.clone(), persistent=False)
        self.U = nn.Linear(channels, joint_dim, bias=False)
        self.V = nn.Linear(class_vectors.shape[1], joint_dim, bias=False)
        self.P = nn.Linear(joint_dim, joint_dim)
        self.F_att = nn.Linear(joint_dim, 1)

    def attention(self, features: Tensor) -> Tensor:
        """Return the attention a of Eq. 5, [B, C, L], of maps [B, L, K]."""
        return self.attend(features)[0]

    def attend(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return the attention [B, C, L], and its mean of the joint space [B, C, J].

        The latter before P: Eq. 6 of tanh(U f * V x).
        """
        direction = (self.F_att.weight @ self.P.weight)[0]
        return bilinear_attention(
            self.U(features), self.V(self.class_vectors), direction
        )


def evidence(attention: Tensor, features: Tensor) -> Tensor:
    """Return how much each location speaks for a class, [B, C, L].

    The class's attention there times the sum of the map's channels: what DSRB takes the
    peak of.

    Args:
        attention: [B, C, L].
        features: the map that is pooled with it, [B, L, K].
    """
    with torch.no_grad():
        return attention * features.sum(dim=-1)[:, None]
