"""Large loss: unknown labels are negatives until they cost too much (LL-R, -Ct, -Cp).

Kim et al., CVPR 2022. The largest losses of unknown labels in a batch are taken for
false negatives: rejected, corrected for the step, or corrected for good.
`compute_batch_loss` of snucml/LargeLossMatters, whose own LL-Cp is LL-Ct by a slip, and
of youngwk/BridgeGapExplanationPAMC, which has the three as the paper has them.
"""

from collections.abc import Hashable

import torch
from torch import Tensor

from mlrpl.methods.base import Batch, Loss, TrainingImages
from mlrpl.methods.inputs import Inputs
from mlrpl.methods.losses.by_label import by_label
from mlrpl.methods.scores import Scores


class LargeLoss(Loss):
    """Mean over all B * C of the binary cross-entropy with unknown labels absent.

    Of the B * C labels of a batch a share is taken for false negatives: with LL-R and
    LL-Ct (e - 1) times the rate in epoch e, with LL-Cp the rate in each epoch from the
    second on. A known negative costs -log(1 - p) and is never among them. The public
    code's threshold falls to 0 where the share is of more labels than are unknown, and
    then takes all labels, known ones too; `large_loss_guard` leaves one unknown label
    below it in any case.

    Attributes:
        share: of the labels of a batch, in this epoch.
        corrected: of LL-Cp, [N, C]: which unknown labels are positives for good.
    """

    needs_batch = True
    share: Tensor
    corrected: Tensor

    def __init__(
        self,
        inputs: Inputs,
        *,
        large_loss: str,
        large_loss_rate: float,
        large_loss_guard: bool,
    ):
        """Start with nothing corrected.

        Args:
            inputs: the partial labels [N, C].
            large_loss: "ll_r", reject; "ll_ct", correct temporarily; "ll_cp", correct
                permanently.
            large_loss_rate: see the class.
            large_loss_guard: see the class.
        """
        super().__init__()
        self.scheme, self.rate, self.guard = (
            large_loss,
            large_loss_rate,
            large_loss_guard,
        )
        # Set by `start_epoch`, so it is not kept.
        share = torch.zeros((), dtype=torch.float64)
        self.register_buffer("share", share, persistent=False)
        if large_loss == "ll_cp":
            corrected = torch.zeros(inputs.known.shape, dtype=torch.bool)
            self.register_buffer("corrected", corrected)

    def start_epoch(self, epoch: int, training: TrainingImages) -> Hashable:
        """Set the share of an epoch, the first being 1."""
        before = min(epoch - 1, 1) if self.scheme == "ll_cp" else epoch - 1
        self.share.fill_(min(self.rate * before, 1))
        return None

    def begin(self) -> None:
        """Take some labels for false negatives."""
        self.share.fill_(self.rate)

    def forward(self, scores: Scores, labels: Tensor, batch: Batch) -> Tensor:
        """Return the loss of a batch, a scalar."""
        positive, negative = -scores.log_p, -scores.log_not_p
        open_, assumed = labels == 0, negative
        if self.scheme == "ll_cp":
            corrected = self.corrected[batch.images]
            open_, assumed = (
                open_ & ~corrected,
                torch.where(corrected, positive, negative),
            )
        loss = by_label(labels, positive, negative, assumed)
        large = self.large(torch.where(open_, loss.detach(), 0), open_)
        if self.scheme == "ll_r":
            return loss.masked_fill(large, 0).mean()
        # Temporarily or not, the label is the other one.
        flipped = torch.where(labels > 0, negative, positive)
        if self.scheme == "ll_cp" and self.training and labels is batch.labels:
            self.corrected.index_copy_(0, batch.images, corrected | large)
        return torch.where(large, flipped, loss).mean()

    def large(self, losses: Tensor, unknown: Tensor) -> Tensor:
        """Say which of the losses are among the largest.

        Args:
            losses: of unknown labels, 0 elsewhere, [B, C], without gradient.
            unknown: which these are, [B, C].
        """
        # On the device, so that a step never waits for it.
        number = (self.share * losses.numel() - 1e-9).ceil().long()
        if self.guard:
            number = torch.minimum(number, unknown.sum() - 1)
        largest = losses.flatten().sort(descending=True).values
        threshold = largest.index_select(0, (number - 1).clamp(min=0).view(1))
        chosen = (losses >= threshold) & (number > 0)
        return chosen & unknown if self.guard else chosen
