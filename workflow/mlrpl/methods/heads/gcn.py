"""GCN-ML (ML-GCN; Chen et al., CVPR 2019): classifiers out of a graph convolution.

Word vectors pass two graph convolutions over thresholded co-occurrences, and what comes
out are the classifiers of the image's feature, the maximum of the map.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mlrpl.methods.base import Head
from mlrpl.methods.cooccurrence import counts
from mlrpl.methods.inputs import Inputs
from mlrpl.methods.precision import at_least_fp32, fp32_products

SLOPE = 0.2  # of the leaky ReLU between the two


class GraphConvolutionHead(Head):
    """Logits W f with W = A leaky_relu(A X T1) T2, X the word vectors."""

    reads = "max"
    has_class_features = False
    adjacency: Tensor
    class_vectors: Tensor

    def __init__(
        self,
        inputs: Inputs,
        *,
        gcn_dim: int,
        gcn_threshold: float,
        gcn_weight: float,
        gcn_feature: str,
    ):
        """Draw the weights, and join classes by the known labels.

        Args:
            inputs: sizes, word vectors [C, G], partial labels.
            gcn_dim: width between the two convolutions.
            gcn_threshold: see `adjacency`, so the next.
            gcn_weight: of a class's neighbours together.
            gcn_feature: "raw", or "normalised" to the length sqrt(K).
        """
        super().__init__()
        self.normalised = gcn_feature == "normalised"
        vectors, channels = inputs.class_vectors, inputs.map_channels
        joined = adjacency(counts(inputs.known), gcn_threshold, gcn_weight)
        self.register_buffer("class_vectors", vectors.clone(), persistent=False)
        self.register_buffer("adjacency", joined, persistent=False)
        self.first = _drawn(vectors.shape[1], gcn_dim)
        self.second = _drawn(gcn_dim, channels)

    def prepare(self) -> Tensor:
        """Return the classifiers [C, K]."""
        hidden = self.adjacency @ (self.class_vectors @ self.first)
        hidden = F.leaky_relu(hidden, SLOPE)
        return at_least_fp32(self.adjacency @ (hidden @ self.second))

    def class_features(self, features: Tensor) -> Tensor:
        """Return the image feature [B, K], which all classes share."""
        if not self.normalised:
            return features
        return F.normalize(features, dim=-1) * features.shape[-1] ** 0.5

    def logits(self, class_features: Tensor, prepared: Tensor) -> Tensor:
        """Return the logits [B, C]."""
        with fp32_products(class_features.device):
            return class_features @ prepared.T


def _drawn(rows: int, columns: int) -> nn.Parameter:
    bound = 1 / math.sqrt(columns)
    return nn.Parameter(torch.empty(rows, columns).uniform_(-bound, bound))


def adjacency(both: Tensor, threshold: float, weight: float) -> Tensor:
    """Return the normalised adjacency of the classes, [C, C].

    As `gen_A` and `gen_adj` of ML-GCN: classes i and j are joined where P(j | i)
    reaches the threshold; neighbours share a weight beside a class's own 1, divided by
    the sum of the column as there; and D A^T D, with D from the rows of A.

    Args:
        both: images that show two classes, [C, C] (`cooccurrence.counts`); a class
            without a known positive has no neighbour.
        threshold: tau.
        weight: p / (1 - p) of the paper.
    """
    of_one = both.diagonal()[:, None]
    own = torch.eye(len(both), device=both.device)
    joined = (1 - own) * (both / of_one.clamp(min=1) >= threshold) * (of_one > 0)
    shared = weight * joined / (joined.sum(dim=0, keepdim=True) + 1e-6) + own
    scale = shared.sum(dim=1).rsqrt()
    return scale[:, None] * shared.T * scale
