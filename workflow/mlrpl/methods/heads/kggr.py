"""KGGR (Chen et al., TPAMI 2022): SSGRL with a graph network over the classifiers too.

Its authors published no code; the public code that there is (WS-MLR) multiplies the
outputs with the propagated classifiers and once more with those that they start from
(`kggr_classifier=product`). The paper speaks of classifiers that propagation makes.
"""

import torch
from torch import Tensor, nn

from mlrpl.methods.gated_graph import GatedGraph
from mlrpl.methods.heads.ggnn import GatedGraphHead
from mlrpl.methods.inputs import Inputs
from mlrpl.methods.precision import at_least_fp32


class KnowledgeGraphHead(GatedGraphHead):
    """The classifiers W of the classes are states of a graph network of their own."""

    def __init__(
        self,
        inputs: Inputs,
        *,
        reduce_dim: int,
        attention_dim: int,
        output_dim: int,
        graph_steps: int,
        unseen_classes: str,
        kggr_classifier: str,
    ):
        """Draw the weights.

        Args:
            inputs: as of `GatedGraphHead`; so the next five.
            reduce_dim: D.
            attention_dim: J.
            output_dim: width of a class's output and of its classifier.
            graph_steps: T, of both graph networks.
            unseen_classes: see `cooccurrence.conditional`.
            kggr_classifier: logits by "propagated" classifiers G, or by the "product"
                of G and W.
        """
        super().__init__(
            inputs,
            reduce_dim=reduce_dim,
            attention_dim=attention_dim,
            output_dim=output_dim,
            graph_steps=graph_steps,
            unseen_classes=unseen_classes,
        )
        self.product = kggr_classifier == "product"
        edges = self.graph_network.edges
        self.classifier_network = GatedGraph(output_dim, edges, graph_steps)
        self.classifier_output = nn.Linear(2 * output_dim, output_dim)

    def prepare(self) -> Tensor:
        """Return the classifiers [C, output_dim], which no image changes."""
        start = self.classifier.weight
        states = self.classifier_network(start)
        propagated = self.classifier_output(torch.cat((states, start), dim=-1))
        propagated = at_least_fp32(propagated)
        return propagated * start if self.product else propagated

    def classified(self, outputs: Tensor, prepared: Tensor) -> Tensor:
        """Return the logits [B, C] of outputs [B, C, output_dim] and classifiers."""
        return (outputs * prepared).sum(dim=-1) + self.classifier.bias
