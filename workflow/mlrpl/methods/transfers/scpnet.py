"""SCPNet's consistency of two views, with a prior of the classes (CVPR 2023).

Ding et al. `SCPNetTrainer.consistency_loss` and `train` of jameslahm/SCPNet. What its
code says and its text does not: both terms are sums over classes and images, as its
first loss is; here both are means over the images. Its weak view is the crop and flip
of the labelled one, drawn again, and its strong one is RandAugment's besides; here both
are drawn from the cached views, another one each. It knows no negatives.
"""

import math

import torch
from torch import Tensor

from mlrpl.methods.base import Step, Transfer
from mlrpl.methods.class_graph import name_similarity, relation
from mlrpl.methods.inputs import Inputs
from mlrpl.methods.scores import Scores
from mlrpl.text.tower import TextTower

# The public code's least probability in a logarithm.
LEAST = math.log(1e-8)


class StructuredPriorConsistency(Transfer):
    """The strong view learns what the weak one says, of related classes too.

    An image counts if one of its likeliest classes reaches its threshold
    cutoff * q_c / (2 - q_c), where q_c says how often class c has been a pseudo label
    of late. Then the strong view learns the pseudo labels (likeliest classes that reach
    it, and known positives) and the weak probabilities as related classes see them.

    Known negatives that are "absent" have the weak probability 0: they are no pseudo
    label, take no place among the likeliest, say nothing of other classes and are
    targets of 0 in both terms.

    Attributes:
        selected: [N, C], the last pseudo labels of each image that had any.
        counts: [C], of how many images each class is one.
    """

    needs_class_features = False
    further_views = 2
    relation: Tensor
    selected: Tensor
    counts: Tensor

    def __init__(
        self,
        inputs: Inputs,
        *,
        prior_top: int,
        scpnet_weight: float,
        scpnet_likeliest: int,
        scpnet_cutoff: float,
        scpnet_relation: float,
        scpnet_temperature: float,
        scpnet_negatives: str,
    ):
        """Relate the classes; no image has a pseudo label yet.

        Args:
            inputs: the text side of CLIP, and the partial labels [N, C].
            prior_top: classes that each is related to, itself among them.
            scpnet_weight: of the consistency beside the labels' loss.
            scpnet_likeliest: classes of an image that may become pseudo labels.
            scpnet_cutoff: probability from which the most frequent class is one.
            scpnet_relation: weight of the term of related classes.
            scpnet_temperature: of the softmax over a class's relations.
            scpnet_negatives: what known negatives are, "absent" or "unknown".
        """
        super().__init__()
        similarity = name_similarity(inputs.clip, TextTower(inputs.clip), period=True)
        found = relation(similarity, prior_top, scpnet_temperature)
        self.register_buffer("relation", found, persistent=False)
        shape = inputs.known.shape
        self.register_buffer("selected", torch.zeros(shape, dtype=torch.bool))
        self.register_buffer("counts", torch.zeros(shape[1], dtype=torch.long))
        self.weight, self.related = scpnet_weight, scpnet_relation
        self.likeliest = min(scpnet_likeliest, shape[1])
        self.cutoff = scpnet_cutoff
        self.keeps_negatives = scpnet_negatives == "absent"

    def forward(self, step: Step) -> Tensor:
        """Return the loss of a step, a scalar; remember its pseudo labels."""
        labels = step.batch.labels
        loss = step.loss(step.scores, labels)
        with torch.no_grad():
            weak = step.score(step.batch.further[0]).p
        strong = step.score(step.batch.further[1])
        consistency, chosen = self.consistency(strong, weak, labels, self.thresholds())
        if self.training:
            self.remember(step.batch.images, chosen)
        return loss + self.weight * consistency

    def thresholds(self) -> Tensor:
        """Return the probability [C] from which each class is a pseudo label."""
        return self.threshold(self.frequency())

    def frequency(self) -> Tensor:
        """Return q [C]: 1 for the most frequent pseudo label, at least 1 / C.

        As long as there are few of them, it is their share of all that there may be.
        """
        images, classes = self.selected.shape
        rest = self.likeliest * images - self.counts.sum()
        share = self.counts / torch.maximum(self.counts.max(), rest)
        return share.clamp(min=1 / classes)

    def threshold(self, frequency: Tensor) -> Tensor:
        """Return the thresholds of frequencies q, both [C]."""
        return self.cutoff * frequency / (2 - frequency)

    def consistency(
        self, strong: Scores, weak: Tensor, labels: Tensor, thresholds: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the consistency, a scalar, and the pseudo labels, bool [B, C].

        Args:
            strong: scores of the strong views, [B, C].
            weak: probabilities of the weak views, [B, C], without gradient.
            labels: partial labels [B, C].
            thresholds: of the classes, [C].
        """
        if self.keeps_negatives:
            absent = labels < 0
        else:
            absent = torch.zeros_like(labels, dtype=torch.bool)
        weak = weak.masked_fill(absent, 0)
        places = weak.topk(self.likeliest, dim=1).indices
        sure = torch.zeros_like(absent).scatter(1, places, True) & (weak >= thresholds)
        chosen = sure | (labels > 0)
        related = (weak @ self.relation.T).masked_fill(absent, 0)
        # Both terms have the logarithms of the same probabilities.
        target = chosen + self.related * related
        rest = (1 + self.related) - target
        cost = target * strong.log_p.clamp(min=LEAST)
        cost = cost + rest * strong.log_not_p.clamp(min=LEAST)
        counted = sure.any(dim=1, keepdim=True)
        return -(cost * counted).sum() / len(labels), chosen

    @torch.no_grad()
    def remember(self, images: Tensor, chosen: Tensor) -> None:
        """Keep the pseudo labels [B, C] of those images [B] that have any."""
        before = self.selected[images]
        now = torch.where(chosen.any(dim=1, keepdim=True), chosen, before)
        self.selected.index_copy_(0, images, now)
        self.counts += now.sum(dim=0) - before.sum(dim=0)
