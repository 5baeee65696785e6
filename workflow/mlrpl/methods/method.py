"""One method: a head, a transfer and a loss, built from a run's options."""

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from mlrpl.config.options import Options
from mlrpl.errors import UserError
from mlrpl.methods.base import Batch, Group, Head, Located, Loss, Step, Transfer
from mlrpl.methods.inputs import Inputs
from mlrpl.methods.parts import part_class
from mlrpl.methods.precision import at_least_fp32, products
from mlrpl.methods.scores import SCORES, Scores


class Method(nn.Module):
    """What a training trains: scores of all classes from cached features.

    Its state is `state_dict()`: what is trained, and what transfer and loss remember.
    """

    def __init__(
        self,
        head: Head,
        transfer: Transfer,
        loss: Loss,
        score: str = "sigmoid",
        precision: str = "fp32",
    ):
        """Put the parts together.

        Args:
            head: from cached features to logits.
            transfer: from a step to its loss.
            loss: of scores and labels.
            score: from logits to probabilities, "sigmoid" or "softmax" (Eq. 9).
            precision: of the head's products: "fp32", "bf16" or "auto".

        Raises:
            UserError: when the transfer needs class features, or where they come from,
                and the head has none.
        """
        super().__init__()
        check_together(head, type(transfer))
        self.head, self.transfer, self.loss_part = head, transfer, loss
        self.score, self.precision = SCORES[score], precision

    @classmethod
    def from_options(cls, options: Options, inputs: Inputs, seed: int) -> "Method":
        """Build the method of a run.

        Args:
            options: the run's options.
            inputs: sizes, class vectors, partial labels and the text side of CLIP.
            seed: each part starts from this seed, so that a change of one leaves the
                start of the others as it was.

        Raises:
            UserError: as the constructor.
        """
        parts = []
        for kind in ("head", "transfer", "loss"):
            torch.manual_seed(seed)
            part = part_class(kind, options[kind])
            if kind == "transfer":
                check_together(parts[0], part)
            parts.append(part.from_options(options, inputs))
            if kind == "head" and parts[0].has_class_features:
                inputs = replace(inputs, class_dim=parts[0].class_dim)
        return cls(*parts, score=options.score, precision=options.precision)

    @property
    def reads(self) -> str:
        """The cached feature that a batch holds: "map", "global", "max" or "tokens"."""
        return self.head.reads

    @property
    def graph(self) -> bool:
        """Whether a step can be captured as a CUDA graph."""
        return all(part.graph for part in self._parts)

    @property
    def further_views(self) -> int:
        """Views of each image that a step needs besides one (`Batch.further`)."""
        return max(part.further_views for part in self._parts)

    @property
    def _parts(self) -> tuple[Head, Transfer, Loss]:
        return self.head, self.transfer, self.loss_part

    def loss(self, batch: Batch) -> Tensor:
        """Return the loss of a batch, a scalar."""
        found = self.located(batch.features)
        # Last, so that backward its activations are the first to go.
        prepared = self.prepare()

        def rescore(changed: Tensor) -> Scores:
            return self._scored(changed, prepared)

        scores = rescore(found.class_features)
        score = partial(self.scores, prepared=prepared)
        step = Step(batch, *found, scores, rescore, self.loss_on(batch), score)
        return self.transfer(step)

    def loss_on(self, batch: Batch) -> Callable[[Scores, Tensor], Tensor]:
        """Return the loss of scores and labels of a batch's images."""
        if self.loss_part.needs_batch:
            return partial(self.loss_part, batch=batch)
        return self.loss_part

    def located(self, features: Tensor) -> Located:
        """Return what the head makes of images, in fp32 at least.

        With the evidence of each location if the transfer asks for it.
        """
        with products(features.device, self.precision):
            if self.transfer.needs_evidence:
                found = self.head.located(features)
            else:
                found = Located(self.head.class_features(features), None)
        return Located(*(x if x is None else at_least_fp32(x) for x in found))

    def prepare(self) -> Any:
        """Return what scoring needs besides images; once for a whole test."""
        with products(self.device, self.precision):
            return self.head.prepare()

    def scores(self, features: Tensor, prepared: Any = None) -> Scores:
        """Return the scores of images.

        Args:
            features: cached features, as `reads` says.
            prepared: what `prepare()` returned, if it is at hand.
        """
        with products(features.device, self.precision):
            found = at_least_fp32(self.head.class_features(features))
        prepared = self.prepare() if prepared is None else prepared
        return self._scored(found, prepared)

    def score_images(self, features: Tensor, prepared: Any = None) -> Tensor:
        """Return the ranking scores [B, C] of images; as `scores`."""
        return self.scores(features, prepared).ranking

    def _scored(self, class_features: Tensor, prepared: Any) -> Scores:
        with products(class_features.device, self.precision):
            logits = self.head.logits(class_features, prepared)
        return self.score(at_least_fp32(logits))

    def start_epoch(
        self,
        epoch: int,
        batches: Callable[[int], Iterator[Batch]],
        steps: int,
    ) -> Hashable:
        """Prepare an epoch; return its phase.

        Args:
            epoch: its number, the first being 1.
            batches: iterates over the training images in order, so many at a time.
            steps: the optimiser's steps that the epoch will have.
        """
        training = _Training(self, batches, steps)
        return tuple(part.start_epoch(epoch, training) for part in self._parts)

    def begin(self) -> None:
        """Go to the stage in which all that there is takes part, to measure a step."""
        for part in self._parts:
            part.begin()

    def after_step(self) -> None:
        """Do what follows the optimiser's step."""
        for part in self._parts:
            part.after_step()

    def groups(self) -> list[Group]:
        """Return the trained parameters, in groups of one learning rate."""
        return [group for part in self._parts for group in part.groups()]

    @property
    def device(self) -> torch.device:
        """Where parameters and buffers are."""
        tensors = (*self.parameters(), *self.buffers())
        return next(iter(tensors)).device if tensors else torch.device("cpu")

    def parameter_counts(self) -> dict[str, int]:
        """Count the trained parameters by component, and in total.

        A component is a module of a part, such as `visual` and `prompts` of the cosine
        head, whose learned scale is called `scale`.
        """
        counts: dict[str, int] = {}
        for part in self._parts:
            for name, module in part.named_children():
                trained = [p.numel() for p in module.parameters()]
                if trained or name == "visual":
                    counts[name] = sum(trained)
            for name, parameter in part.named_parameters(recurse=False):
                counts[name.removeprefix("log_")] = parameter.numel()
        return {**counts, "total": sum(counts.values())}


def check_together(head: Head, transfer: type[Transfer]) -> None:
    """Refuse a transfer that needs what the head does not have.

    Raises:
        UserError: one line that names both.
    """
    names = transfer.__name__, type(head).__name__
    if transfer.needs_class_features and not head.has_class_features:
        raise UserError(
            f"options: transfer: {names[0]} works on a feature for each class, and "
            f"{names[1]} has none with these options; choose another head or visual "
            "module, or transfer=none"
        )
    if transfer.needs_evidence and not head.has_evidence:
        raise UserError(
            f"options: transfer: {names[0]} asks where in the map a class is, and "
            f"{names[1]} does not say it with these options; choose another head or "
            "visual module, or another transfer"
        )


@dataclass(frozen=True)
class _Training:
    """The training images as parts see them (`base.TrainingImages`)."""

    method: Method
    batches: Callable[[int], Iterator[Batch]]
    steps: int

    @torch.no_grad()
    def located(self, size: int) -> Iterator[tuple[Batch, Located]]:
        """Iterate with what the head makes of them as in a test, without gradients."""
        self.method.eval()
        for batch in self.batches(size):
            yield batch, self.method.located(batch.features)

    @torch.no_grad()
    def scored(self, size: int) -> Iterator[tuple[Batch, Scores]]:
        """Iterate with their scores as in a test, without gradients."""
        self.method.eval()
        prepared = self.method.prepare()
        for batch in self.batches(size):
            yield batch, self.method.scores(batch.features, prepared)
