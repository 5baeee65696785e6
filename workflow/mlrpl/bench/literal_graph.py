"""What the public code of SSGRL's successors computes in every step, unfolded.

The formulas of HCP-MLR-PL on the product's own weights, with its tensors: attention
over [B, L, C, J], the weighted map [B, L, C, D], every pair of classes [B, P, H] and of
images [pairs, C, D]. Loops and selections by value stand where the public code has
them. What it computes without a use is left out: copies where broadcasting does, and
the numbers that it logs.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mlrpl.methods.base import Head, Located, Loss
from mlrpl.methods.gated_graph import GatedGraph
from mlrpl.methods.heads.ggnn import GatedGraphHead
from mlrpl.methods.scores import Scores
from mlrpl.methods.transfers.contrastive import EPS
from mlrpl.methods.transfers.pair_network import PairNetwork


class LiteralGraphHead(Head):
    """The graph head without folded layers; its evidence is the whole weighted map."""

    reads = "map"
    has_class_features = True
    has_evidence = True

    def __init__(self, own: GatedGraphHead):
        """Take the product's head."""
        super().__init__()
        self.own, self.class_dim = own, own.class_dim

    def class_features(self, features: Tensor) -> Tensor:
        """Return the features [B, C, D] of maps [B, L, K]."""
        return self.located(features).class_features

    def located(self, features: Tensor) -> Located:
        """Return the features [B, C, D] and the weighted map [B, L, C, D]."""
        reduced, module = self.own.reduction(features), self.own.decoupling
        words = module.V(module.class_vectors)
        joint = torch.tanh(module.U(reduced)[:, :, None] * words)  # [B, L, C, J]
        attention = module.F_att(module.P(joint))[..., 0].softmax(dim=1)
        weighted = attention[..., None] * reduced[:, :, None]
        return Located(weighted.sum(dim=1), weighted)

    def logits(self, class_features: Tensor, prepared: Any) -> Tensor:
        """Return the logits [B, C] of class features [B, C, D]."""
        states = propagated(self.own.graph_network, class_features)
        both = torch.cat((states, class_features), dim=-1)
        return self.own.classifier(torch.tanh(self.own.output(both)))


def propagated(network: GatedGraph, states: Tensor) -> Tensor:
    """Return the states [B, C, D] after all steps of a graph network."""
    incoming, outgoing = network.edges, network.edges.T
    reset_state = network.reset_state or network.update_state
    for _ in range(network.steps):
        given = torch.cat((incoming @ states, outgoing @ states), dim=-1)
        z = torch.sigmoid(network.update_in(given) + network.update_state(states))
        r = torch.sigmoid(network.reset_in(given) + reset_state(states))
        new = torch.tanh(network.new_in(given) + network.new_state(r * states))
        states = (1 - z) * states + z * new
    return states


class LiteralBCE(Loss):
    """Partial binary cross-entropy of logits, for positives and negatives apart."""

    def forward(self, scores: Scores, labels: Tensor) -> Tensor:
        """Return the loss of scores whose ranking are logits, a scalar."""
        return bce(scores.ranking, labels)


def bce(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the mean over the entries [B, C] whose target is not 0."""
    targets = targets.to(logits.dtype)
    as_positive = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    as_negative = F.binary_cross_entropy_with_logits(
        -logits, -targets, reduction="none"
    )
    positive, negative = targets > 0, targets < 0
    cost = positive * as_positive + negative * as_negative
    known = cost[positive | negative]
    return known.mean() if len(known) else 0 * cost.mean()


class LiteralContrast(nn.Module):
    """The contrastive loss of all pairs of images."""

    def forward(self, class_features: Tensor, labels: Tensor) -> Tensor:
        """Return the loss of class features [B, C, D] and labels [B, C], a scalar."""
        images = len(labels)
        i, j = torch.triu_indices(images, images, 1, device=labels.device)
        cosine = F.cosine_similarity(
            class_features[i], class_features[j], dim=2, eps=EPS
        )
        product, both = labels[i] * labels[j], labels[i] + labels[j]
        alike = (1 - cosine)[both == 2]
        neither, mixed = (1 + cosine)[both == -2], (1 + cosine)[product == -1]
        if number := len(alike):
            neither = self._sampled(neither, number)
            mixed = self._sampled(mixed, number)
        costs = torch.cat((alike, mixed, neither))
        return costs.mean() if len(costs) else costs.sum()

    def _sampled(self, costs: Tensor, number: int) -> Tensor:
        """Return 2n random ones, and the n highest."""
        drawn = costs[self.permutation(costs)[: 2 * number]]
        return torch.cat((drawn, costs.sort(descending=True).values[:number]))

    def permutation(self, costs: Tensor) -> Tensor:
        """Return the places of costs [n] in a random order."""
        return torch.randperm(len(costs), device=costs.device)


def pair_logits(network: PairNetwork, class_features: Tensor) -> Tensor:
    """Return the logits [B, P] of pairs of classes, whose features are put together."""
    classes = class_features.shape[1]
    i, j = torch.triu_indices(classes, classes, 1, device=class_features.device)
    reduced = network.reduction(class_features)
    beside = torch.cat((reduced[:, i], reduced[:, j]), dim=2)
    hidden = network.second(torch.relu(network.first(beside)))  # [B, P, H]
    return network.classifier(hidden)


def pair_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the asymmetric loss of pairs [B, P]: gammas 1 and 2, margin 0.05."""
    classes = labels.shape[1]
    i, j = torch.triu_indices(classes, classes, 1, device=labels.device)
    present = (labels == 1).to(logits.dtype)
    together = present[:, i] * present[:, j]
    p = torch.sigmoid(logits)
    q = (1 - p + 0.05).clamp(max=1)
    log_p, log_q = (part.clamp(min=1e-8).log() for part in (p, q))
    cost = -(together * log_p + (1 - together) * log_q)
    right = together * p + (1 - together) * q
    return (cost * (1 - right) ** (2 - together)).mean()


def presence(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the mean over known positives of the pairs' probability, [B, C]."""
    (images, classes), first = labels.shape, 0
    p = torch.sigmoid(logits)
    matrix = p.new_zeros(images, classes, classes)
    for c in range(classes):
        matrix[:, c, c] = 1
        row = p[:, first : first + classes - c - 1]
        matrix[:, c, c + 1 :], matrix[:, c + 1 :, c] = row, row
        first += classes - c - 1
    positive = (labels == 1).to(p.dtype)
    number = positive.sum(dim=1, keepdim=True).clamp(min=1)
    return (matrix * positive[:, None]).sum(dim=2) / number
