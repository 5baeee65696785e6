"""CSL: class-aware selective loss for partial labels (Ben-Baruch et al., CVPR 2022).

`PartialSelectiveLoss` of Alibaba-MIIL/PartialLabelingCSL: a focal loss in which some
unknown labels count as negatives and others not at all. A sum over the classes and a
mean over the images, as P-ASL; the public code sums over the images too.
"""

from collections.abc import Hashable

import torch
from torch import Tensor

from mlrpl.errors import UserError
from mlrpl.methods.base import Loss, TrainingImages
from mlrpl.methods.inputs import Inputs
from mlrpl.methods.losses.by_label import by_label
from mlrpl.methods.scores import Scores


class ClassAwareSelectiveLoss(Loss):
    """Focal loss of known labels, and of those unknown ones that the mode keeps.

    With "selective" these are all but the likeliest of a batch and those of frequent
    classes. How frequent a class is the public code asks a model that it trains before;
    here it is the share of positives among the class's known labels, where these are
    drawn alike. With "negative" all are kept, with the other two none.
    """

    prior: Tensor
    has_negatives: Tensor

    def __init__(
        self,
        inputs: Inputs,
        *,
        csl_mode: str,
        csl_gamma_pos: float,
        csl_gamma_neg: float,
        csl_gamma_unknown: float,
        csl_margin: float,
        csl_likeliest: int,
        csl_prior: str,
        csl_prior_threshold: float,
    ):
        """Count how frequent the classes are.

        Args:
            inputs: the partial labels [N, C].
            csl_mode: "selective", "ignore", "ignore_normalized" or "negative".
            csl_gamma_pos: of the focal weight of known positives.
            csl_gamma_neg: of known negatives.
            csl_gamma_unknown: of unknown labels.
            csl_margin: probability that a negative has for free.
            csl_likeliest: unknown labels, times the images of a batch, that are left
                out for their scores.
            csl_prior: "known", leave frequent classes' unknown labels out; or "none".
            csl_prior_threshold: what is frequent.
        """
        super().__init__()
        self.mode, self.margin = csl_mode, csl_margin
        self.gammas = csl_gamma_pos, csl_gamma_neg, csl_gamma_unknown
        self.likeliest = csl_likeliest
        self.counted = csl_mode == "selective" and csl_prior == "known"
        known = inputs.known
        share = (known > 0).sum(dim=0) / (known != 0).sum(dim=0).clamp(min=1)
        frequent = (share > csl_prior_threshold) & self.counted
        self.register_buffer("frequent", frequent, persistent=False)
        has_negatives = (known < 0).any()
        self.register_buffer("has_negatives", has_negatives, persistent=False)

    def start_epoch(self, epoch: int, training: TrainingImages) -> Hashable:
        """Check that the classes could be counted.

        Raises:
            UserError: no label is known to be absent, so that all look frequent.
        """
        if self.counted and not self.has_negatives:
            raise UserError(
                "options: csl_prior: known: no label is known to be absent, so that "
                "how frequent a class is cannot be counted; set it to none"
            )
        return None

    def forward(self, scores: Scores, labels: Tensor) -> Tensor:
        """Return the loss of a batch, a scalar."""
        log_absent = scores.log_not_p
        if self.margin:
            log_absent = torch.log((scores.not_p + self.margin).clamp(max=1))
        of_present, of_absent = scores.not_p.detach(), 1 - log_absent.detach().exp()
        positive = -scores.log_p * of_present ** self.gammas[0]
        negative = -log_absent * of_absent ** self.gammas[1]
        unknown = -log_absent * of_absent ** self.gammas[2]
        unknown = torch.where(self.kept(scores.p.detach(), labels == 0), unknown, 0)
        loss = by_label(labels, positive, negative, unknown)
        if self.mode == "ignore_normalized":
            number = (labels != 0).sum(dim=1, keepdim=True)
            loss = loss * (1 / (1 + number) + 1)
        return loss.sum() / len(labels)

    def kept(self, p: Tensor, unknown: Tensor) -> Tensor:
        """Say which unknown labels [B, C] count as negatives."""
        if self.mode == "negative":
            return unknown
        if self.mode != "selective":
            return torch.zeros_like(unknown)
        likely = torch.where(unknown, p, -1).flatten()
        number = min(self.likeliest * len(p), len(likely))
        left_out = likely.topk(number).indices
        kept = unknown.flatten().index_fill(0, left_out, False)
        return kept.view_as(unknown) & ~self.frequent
