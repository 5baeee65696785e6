"""The three parts that a method consists of, and what passes between them.

A new head, transfer or loss is a subclass in a file of its own and a line in
`workflow/schemas/options.schema.yaml`, which names it and lists its options. These
arrive in the constructor by name. State is parameters and persistent buffers, which a
checkpoint keeps; what is frozen is registered with `persistent=False`. Random draws of
a step are made on the batch's device. The training loop sets `train()` and `eval()`.
"""

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, Self

from torch import Tensor, nn

from mlrpl.config.options import Options
from mlrpl.methods.inputs import Inputs
from mlrpl.methods.scores import Scores


@dataclass(frozen=True)
class Batch:
    """One step's images, on the device.

    Attributes:
        features: what the head reads, fp32: maps [B, L, K] or vectors [B, D].
        labels: partial labels [B, C], 1 present, -1 absent, 0 unknown.
        images: [B], the images' rows in the training split, for state by image.
    """

    features: Tensor
    labels: Tensor
    images: Tensor


class TrainingImages(Protocol):
    """The training images, as `start_epoch` may read them."""

    def batches(self, size: int) -> Iterator[Batch]:
        """Iterate over the first view in order."""


class Part(nn.Module):
    """What heads, transfers and losses have in common; the defaults do nothing.

    Attributes:
        kind: the option that chooses the part: `head`, `transfer` or `loss`.
        graph: whether a step has fixed shapes and never waits for the device, so that
            it can be captured as a CUDA graph.
    """

    kind: str
    graph = True

    @classmethod
    def from_options(cls, options: Options, inputs: Inputs) -> Self:
        """Build the part of a training from its own options."""
        return cls(inputs, **options.part(cls.kind))

    def start_epoch(self, epoch: int, training: TrainingImages) -> Hashable:
        """Prepare an epoch, the first being 1; return the phase that it belongs to.

        In another phase a step may compute something else, for which the CUDA graph is
        captured anew.
        """
        return None

    def after_step(self) -> None:
        """Do what follows the optimiser's step: clamps, moving averages."""

    def groups(self) -> list[tuple[list[nn.Parameter], float]]:
        """Return groups of trained parameters, each with a factor of the rate."""
        return [(list(self.parameters()), 1.0)]


class Head(Part):
    """From an image's cached features to class features, and from these to logits.

    Attributes:
        reads: which cached feature it takes, "map" or "global".
        has_class_features: whether each class has a feature of its own, [B, C, D], on
            which a transfer can work.
    """

    kind = "head"
    reads: str
    has_class_features: bool

    def prepare(self) -> Any:
        """Return what does not depend on the images, such as text features."""
        return None

    def class_features(self, features: Tensor) -> Tensor:
        """Return the features of images: [B, C, D], or what the classes share."""
        raise NotImplementedError

    def logits(self, class_features: Tensor, prepared: Any) -> Tensor:
        """Return the logits [B, C] of class features, in fp32.

        Args:
            class_features: as from `class_features`, perhaps changed by a transfer.
            prepared: what `prepare` returned.
        """
        raise NotImplementedError


class Loss(Part):
    """A scalar of scores and partial labels."""

    kind = "loss"

    def forward(self, scores: Scores, labels: Tensor) -> Tensor:
        """Return the loss of scores [B, C] and labels [B, C] in -1, 0 and 1."""
        raise NotImplementedError


@dataclass(frozen=True)
class Step:
    """What a transfer sees of a training step.

    Attributes:
        batch: the images.
        class_features: the head's, [B, C, D].
        scores: of these.
        rescore: scores of changed class features, by the same head.
        loss: of scores and labels.
    """

    batch: Batch
    class_features: Tensor
    scores: Scores
    rescore: Callable[[Tensor], Scores]
    loss: Callable[[Scores, Tensor], Tensor]


class Transfer(Part):
    """From a step to its loss: pseudo labels, blended features, more loss terms.

    Attributes:
        needs_class_features: whether it works only on a head that has them.
    """

    kind = "transfer"
    needs_class_features = True

    def forward(self, step: Step) -> Tensor:
        """Return the loss of the step, a scalar."""
        raise NotImplementedError
