"""SCPNet's classifiers: texts that a graph of the classes has passed on (CVPR 2023).

Ding et al. `SCPNet.forward` of jameslahm/SCPNet: a graph convolution over the classes'
text features, joined by how alike CLIP finds them. Its training holds the scores of
three views of an image against each other besides; a batch has one view of each here,
so that this head is SCPNet's model without its consistency.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mlrpl.methods.base import Head
from mlrpl.methods.inputs import Inputs
from mlrpl.methods.precision import at_least_fp32, fp32_products
from mlrpl.text.prompts import Prompts
from mlrpl.text.tower import TextTower

SCALE, SLOPE = 10.0, 0.2  # of the cosines and of the leaky ReLU
NEIGHBOURS = 0.2  # what a class's neighbours weigh beside its own 0.8


class StructuredPriorHead(Head):
    """Scaled cosines of the image feature and text features after three convolutions.

    Trained are the context vectors and the convolutions, which add to text features.
    The graph is the similarity of the classes' names to CLIP; the public code reads one
    from a file that was made with prompts it does not name.
    """

    has_class_features = False
    reads = "global"

    def __init__(
        self,
        inputs: Inputs,
        *,
        prompts: str,
        n_ctx: int,
        context_std: float,
        period: bool,
        prior_top: int,
        prior_dim: int,
    ):
        """Draw context vectors and convolutions.

        Args:
            inputs: the text side of CLIP.
            prompts: "shared" or "class_specific" context vectors.
            n_ctx: number of context vectors.
            context_std: standard deviation of their random start.
            period: end the prompt with a full stop.
            prior_top: classes to which each is joined, itself among them; all if there
                are fewer.
            prior_dim: width between the convolutions.
        """
        super().__init__()
        clip = inputs.clip
        self.tower = TextTower(clip)
        length = self.tower.context_length
        shared = {"period": period, "context_length": length, "std": context_std}
        specific = prompts == "class_specific"
        self.prompts = Prompts(clip, n_ctx, specific, **shared)
        with torch.no_grad():
            names = self.tower(*Prompts(clip, 0, False, **shared)())
        unit = F.normalize(names, dim=-1)
        graph = prior(unit @ unit.T, prior_top)
        self.register_buffer("joined", graph, persistent=False)
        width = inputs.embed_dim
        self.layers = nn.ParameterList(
            torch.empty(a, b).uniform_(-1 / math.sqrt(b), 1 / math.sqrt(b))
            for a, b in (
                (width, prior_dim),
                (prior_dim, prior_dim),
                (prior_dim, width),
            )
        )

    def prepare(self) -> Tensor:
        """Return the classes' text features [C, D] after the graph, normalised."""
        return self.passed_on(at_least_fp32(self.tower(*self.prompts())))

    def passed_on(self, text: Tensor) -> Tensor:
        """Return text features [C, D] with what the graph adds, normalised."""
        passed = text
        for number, weight in enumerate(self.layers):
            passed = self.joined @ (passed @ weight)
            if number + 1 < len(self.layers):
                passed = F.leaky_relu(passed, SLOPE)
        return F.normalize(at_least_fp32(text + passed), dim=-1)

    def class_features(self, features: Tensor) -> Tensor:
        """Return the image features [B, D] themselves, which all classes share."""
        return features

    def logits(self, class_features: Tensor, prepared: Tensor) -> Tensor:
        """Return the scaled cosines [B, C]."""
        with fp32_products(class_features.device):
            return SCALE * F.normalize(class_features, dim=-1) @ prepared.T


def prior(similarity: Tensor, top: int) -> Tensor:
    """Return the graph of classes [C, C]: rows of neighbours' weights, and their own.

    Args:
        similarity: of the classes, [C, C].
        top: entries of a row that are kept, the class itself among them.
    """
    kept = similarity.topk(min(top, len(similarity)), dim=1).indices
    mask = torch.zeros_like(similarity).scatter(1, kept, 1)
    own = torch.eye(len(similarity), dtype=similarity.dtype, device=similarity.device)
    others = similarity * mask * (1 - own)
    total = others.sum(dim=1, keepdim=True)
    weights = torch.where(total > 0, NEIGHBOURS * others / total, 0)
    return weights + (1 - NEIGHBOURS) * own
