"""SSGRL (Chen et al., ICCV 2019), as the lab's later code has it.

The map is reduced and normalised, decoupled into a feature for each class by attention
that word vectors guide, and these pass messages over the graph of co-occurrences before
each class's own classifier. SST, HST, SARB and DSRB work on this head (HCP-MLR-PL). The
original is `reduce_dim=0`, `attention_dim=1024`, `output_dim=2048`.
"""

from typing import Any

import torch
from torch import Tensor, nn

from mlrpl.methods.base import Head, Located
from mlrpl.methods.classifiers import Classifiers
from mlrpl.methods.cooccurrence import conditional
from mlrpl.methods.decoupling import Decoupling, evidence
from mlrpl.methods.gated_graph import GatedGraph
from mlrpl.methods.inputs import Inputs
from mlrpl.methods.precision import at_least_fp32


class Reduction(nn.Module):
    """Fewer channels, and batch normalisation over images and locations.

    A 1x1 convolution without bias as a product, and no activation.
    """

    def __init__(self, channels: int, width: int):
        """Draw the weights as `nn.Conv2d` does."""
        super().__init__()
        self.channels = nn.Linear(channels, width, bias=False)
        self.norm = nn.BatchNorm1d(width)

    def forward(self, features: Tensor) -> Tensor:
        """Return maps [B, L, D] of maps [B, L, K].

        A single location of a single image has no statistics of its own: in training
        too it is normalised with those of the steps before.
        """
        flat = at_least_fp32(self.channels(features)).flatten(0, 1)
        if self.training and len(flat) == 1:
            norm = self.norm
            parts = norm.running_mean, norm.running_var, norm.weight, norm.bias
            flat = nn.functional.batch_norm(flat, *parts, eps=norm.eps)
        else:
            flat = self.norm(flat)
        return flat.view(*features.shape[:2], -1)


class GatedGraphHead(Head):
    """Class features s, states h of the graph from them, logits of tanh(W [h ; s])."""

    reads = "map"
    has_class_features = True
    has_evidence = True

    def __init__(
        self,
        inputs: Inputs,
        *,
        reduce_dim: int,
        attention_dim: int,
        output_dim: int,
        graph_steps: int,
        reset_gate: str = "own",
        unseen_classes: str,
    ):
        """Draw the weights, and count the co-occurrences of the known labels.

        Args:
            inputs: sizes, word vectors, partial labels.
            reduce_dim: D, channels after the reduction; 0 for none, and D = K.
            attention_dim: J, width of the attention's joint space.
            output_dim: width of a class's output before its classifier.
            graph_steps: T of the graph network.
            reset_gate: see `GatedGraph`.
            unseen_classes: see `cooccurrence.conditional`.
        """
        super().__init__()
        width = reduce_dim or inputs.map_channels
        self.class_dim = width
        self.reduction = nn.Identity()
        if reduce_dim:
            self.reduction = Reduction(inputs.map_channels, reduce_dim)
        self.decoupling = Decoupling(width, inputs.class_vectors, attention_dim)
        edges = conditional(inputs.known, unseen_classes)
        self.graph_network = GatedGraph(width, edges, graph_steps, reset_gate)
        self.output = nn.Linear(2 * width, output_dim)
        self.classifier = Classifiers(inputs.classes, output_dim)

    def class_features(self, features: Tensor) -> Tensor:
        """Return the features s [B, C, D] of maps [B, L, K]."""
        features = self.reduction(features)
        return self.decoupling.attention(features) @ features

    def located(self, features: Tensor) -> Located:
        """Return the features s [B, C, D] and the evidence [B, C, L]."""
        features = self.reduction(features)
        attention = self.decoupling.attention(features)
        return Located(attention @ features, evidence(attention, features))

    def logits(self, class_features: Tensor, prepared: Any) -> Tensor:
        """Return the logits [B, C] of class features [B, C, D]."""
        states = self.graph_network(class_features)
        outputs = self.output(torch.cat((states, class_features), dim=-1))
        return self.classified(torch.tanh(at_least_fp32(outputs)), prepared)

    def classified(self, outputs: Tensor, prepared: Any) -> Tensor:
        """Return the logits [B, C] of the classes' outputs [B, C, output_dim]."""
        return self.classifier(outputs)
