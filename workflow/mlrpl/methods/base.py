"""The three parts that a method consists of, and what passes between them.

A new head, transfer or loss is a subclass in a file of its own and a line in
`workflow/schemas/options.schema.yaml`, which names it and lists its options. These
arrive in the constructor by name. State is parameters and persistent buffers, which a
checkpoint keeps; what is frozen is registered with `persistent=False`. Random draws of
a step are made on the batch's device. The training loop sets `train()` and `eval()`.
"""

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, Self

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
        further: the same images' features in other views, [W, B, ...], the W of an
            image different from each other; None if no part asks for them
            (`Part.further_views`), and in iterations in order.
    """

    features: Tensor
    labels: Tensor
    images: Tensor
    further: Tensor | None = None

    def tensors(self) -> dict[str, Tensor]:
        """Return what it holds, by its names."""
        return {name: t for name, t in vars(self).items() if t is not None}


class Located(NamedTuple):
    """What a head makes of images' features.

    Attributes:
        class_features: [B, C, D], or what the classes share.
        evidence: [B, C, L], how much each location speaks for a class: the share of
            the class's attention times the sum of the location's channels, of which
            `class_features` are the sum over the locations; None if nobody asked.
    """

    class_features: Tensor
    evidence: Tensor | None


class TrainingImages(Protocol):
    """The training images, as `start_epoch` may read them.

    Attributes:
        steps: the optimiser's steps of an epoch.
    """

    steps: int

    def batches(self, size: int) -> Iterator[Batch]:
        """Iterate over the first view in order."""

    def located(self, size: int) -> Iterator[tuple[Batch, Located]]:
        """Iterate with what the head makes of them as in a test, without gradients."""

    def scored(self, size: int) -> Iterator[tuple[Batch, Scores]]:
        """Iterate with their scores as in a test, without gradients."""


class Group(NamedTuple):
    """Trained parameters that share a learning rate.

    Attributes:
        parameters: the parameters.
        factor: of the setting's rate.
        rate: a rate of their own in place of `lr`, which then follows the schedule too;
            for single numbers, which each step of Adam moves by about its rate.
    """

    parameters: list[nn.Parameter]
    factor: float = 1.0
    rate: float | None = None


class Part(nn.Module):
    """What heads, transfers and losses have in common; the defaults do nothing.

    Attributes:
        kind: the option that chooses the part: `head`, `transfer` or `loss`.
        graph: whether a step has fixed shapes and never waits for the device, so that
            it can be captured as a CUDA graph.
        further_views: views of each image that a step needs besides the one that it
            trains on (`Batch.further`).
    """

    kind: str
    graph = True
    further_views = 0

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

    def begin(self) -> None:
        """Go to the stage of a training in which all that there is takes part.

        For measuring and counting a step without the epochs before it.
        """

    def after_step(self) -> None:
        """Do what follows the optimiser's step: clamps, moving averages."""

    def groups(self) -> list[Group]:
        """Return the trained parameters, in groups of one learning rate."""
        return [Group(list(self.parameters()))]


class Head(Part):
    """From an image's cached features to class features, and from these to logits.

    Attributes:
        reads: which cached feature it takes, "map", "global", "max" or "tokens".
        has_class_features: whether each class has a feature of its own, [B, C, D], on
            which a transfer can work.
        class_dim: D of these.
        has_evidence: whether `located` can say where in the map they come from.
    """

    kind = "head"
    reads: str
    has_class_features: bool
    class_dim: int
    has_evidence = False

    def prepare(self) -> Any:
        """Return what does not depend on the images, such as text features."""
        return None

    def class_features(self, features: Tensor) -> Tensor:
        """Return the features of images: [B, C, D], or what the classes share."""
        raise NotImplementedError

    def located(self, features: Tensor) -> Located:
        """Return the same with the evidence of each location, of maps [B, L, K]."""
        raise NotImplementedError

    def logits(self, class_features: Tensor, prepared: Any) -> Tensor:
        """Return the logits [B, C] of class features.

        Products are in the setting's precision (`methods.precision`): what needs fp32
        asks for it.

        Args:
            class_features: as from `class_features`, perhaps changed by a transfer.
            prepared: what `prepare` returned.
        """
        raise NotImplementedError


class Loss(Part):
    """A scalar of scores and partial labels.

    Attributes:
        needs_batch: whether `forward` takes the step's `Batch` as a third argument, for
            state by image. Its labels are the training's own; those that a transfer
            made up are others, which leave such a state as it is.
    """

    kind = "loss"
    needs_batch = False

    def forward(self, scores: Scores, labels: Tensor) -> Tensor:
        """Return the loss of scores [B, C] and labels [B, C], a scalar.

        Args:
            scores: of the classes.
            labels: whole numbers -1, 0 and 1; or floating-point targets from -1 to 1,
                t > 0 a positive with weight t and a negative with weight 1 - t, t < 0
                the reverse, 0 unknown, through which a gradient may flow.
        """
        raise NotImplementedError


@dataclass(frozen=True)
class Step:
    """What a transfer sees of a training step.

    Attributes:
        batch: the images.
        class_features: the head's, [B, C, D].
        evidence: [B, C, L] as in `Located`, for a transfer that needs it.
        scores: of these.
        rescore: scores of changed class features, by the same head.
        loss: of scores and labels, hard or soft (`Loss.forward`).
        score: scores of cached features [B, ...], such as those of further views.
    """

    batch: Batch
    class_features: Tensor
    evidence: Tensor | None
    scores: Scores
    rescore: Callable[[Tensor], Scores]
    loss: Callable[[Scores, Tensor], Tensor]
    score: Callable[[Tensor], Scores]


class Transfer(Part):
    """From a step to its loss: pseudo labels, blended features, more loss terms.

    Attributes:
        needs_class_features: whether it works only on a head that has them.
        needs_evidence: whether it asks where they come from.
    """

    kind = "transfer"
    needs_class_features = True
    needs_evidence = False

    def forward(self, step: Step) -> Tensor:
        """Return the loss of the step, a scalar."""
        raise NotImplementedError
