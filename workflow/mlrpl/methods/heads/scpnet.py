"""SCPNet's classifiers: texts that a graph of the classes has passed on (CVPR 2023).

Ding et al. `SCPNet.forward` of jameslahm/SCPNet: a graph convolution over the classes'
text features, joined by how alike CLIP finds them. Its training holds the scores of
further views of an image against each other besides, which is the transfer `scpnet`.
"""

import math
from typing import Unpack

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mlrpl.methods.base import Group, Head
from mlrpl.methods.class_graph import name_similarity, prior
from mlrpl.methods.inputs import Inputs
from mlrpl.methods.precision import at_least_fp32, fp32_products
from mlrpl.text.prompts import PromptOptions, Prompts
from mlrpl.text.tower import TextTower

SCALE, SLOPE = 10.0, 0.2  # of the cosines and of the leaky ReLU


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
        prior_top: int,
        lr_prior: float,
        prior_dim: int,
        **options: Unpack[PromptOptions],
    ):
        """Draw context vectors and convolutions.

        Args:
            inputs: the text side of CLIP.
            prior_top: classes to which each is joined, itself among them; all if there
                are fewer.
            lr_prior: rate of the convolutions as a multiple of the setting's.
            prior_dim: width between the convolutions.
            options: of the prompts.
        """
        super().__init__()
        clip = inputs.clip
        self.tower = TextTower(clip)
        self.prompts = Prompts.of(clip, options, self.tower.context_length)
        graph = prior(name_similarity(clip, self.tower, options["period"]), prior_top)
        self.register_buffer("joined", graph, persistent=False)
        self.lr_prior, width = lr_prior, inputs.embed_dim
        self.layers = nn.ParameterList(
            torch.empty(a, b).uniform_(-1 / math.sqrt(b), 1 / math.sqrt(b))
            for a, b in (
                (width, prior_dim),
                (prior_dim, prior_dim),
                (prior_dim, width),
            )
        )

    def groups(self) -> list[Group]:
        """Return the context vectors, and the convolutions at their own rate."""
        context = list(self.prompts.parameters())
        return [Group(context), Group(list(self.layers), self.lr_prior)]

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
