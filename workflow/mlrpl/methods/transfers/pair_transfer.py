"""What SST and HST share: the pair network, and what is learned besides the labels."""

from typing import TypedDict, Unpack

from torch import Tensor

from mlrpl.methods.base import Step
from mlrpl.methods.inputs import Inputs
from mlrpl.methods.transfers.contrastive import ContrastiveLoss
from mlrpl.methods.transfers.pair_network import PairNetwork, pair_loss
from mlrpl.methods.transfers.staged import StagedTransfer


class PairOptions(TypedDict):
    """Options of both.

    Attributes:
        transfer_epoch: epochs before there are pseudo labels.
        contrast_weight: of the contrastive loss.
        pair_weight: of the pair network's loss.
        pair_dim: see `PairNetwork`.
        pair_hidden: see `PairNetwork`.
        pseudo_weight: of each loss with pseudo labels.
    """

    transfer_epoch: int
    contrast_weight: float
    pair_weight: float
    pair_dim: int
    pair_hidden: int
    pseudo_weight: float


class PairTransfer(StagedTransfer):
    """A transfer with a pair network and the contrastive loss."""

    def __init__(self, inputs: Inputs, **options: Unpack[PairOptions]):
        """Draw the pair network.

        Args:
            inputs: sizes, `class_dim` among them.
            options: of the pairs.
        """
        super().__init__(options["transfer_epoch"])
        widths = options["pair_dim"], options["pair_hidden"]
        self.pairs = PairNetwork(inputs.classes, inputs.class_dim, *widths)
        self.contrast = ContrastiveLoss()
        self.contrast_weight = options["contrast_weight"]
        self.pair_weight = options["pair_weight"]
        self.pseudo_weight = options["pseudo_weight"]

    def learned(self, step: Step, pairs: Tensor) -> Tensor:
        """Return the losses of pairs and of contrast, at the weight of the epoch.

        Args:
            step: the step.
            pairs: logits of its pairs, [B, C, C].
        """
        labels = step.batch.labels
        loss = self.pair_weight * pair_loss(pairs, labels)
        contrast = self.contrast(step.class_features, labels)
        return self.ramp * (loss + self.contrast_weight * contrast)
