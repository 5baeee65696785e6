"""A trained method with all that a picture needs on its way to scores."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from mlrpl.config.options import Options
from mlrpl.encoder.images import Preparation
from mlrpl.errors import UserError
from mlrpl.methods.inputs import Inputs
from mlrpl.methods.method import Method
from mlrpl.methods.parts import part_class

THRESHOLD = 0.5


@dataclass(frozen=True)
class Encoder:
    """Which frozen image encoder the features are of.

    Attributes:
        model: open_clip's name, or the path of a model config.
        pretrained: open_clip's tag, or the path of a checkpoint.
        weights_sha256: the hash of its image tower (`encoder.clip.Clip`).
        config: the content of the model config, where `model` is a file.
    """

    model: str
    pretrained: str
    weights_sha256: str
    config: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Trained:
    """A trained setting.

    Attributes:
        where: the folder or file it is from, for messages.
        run: the content of `run.json`.
        method: with the trained head, in evaluation mode. Transfer and loss, of which
            no score depends, are not those of the training.
        classes: C names.
        thresholds: [C], the probability from which on a class counts as present.
        encoder: whose features it reads.
        preparation: of the pictures for the encoder; one view.
        inputs: what the method was built from.
    """

    where: str
    run: Mapping[str, Any]
    method: Method
    classes: tuple[str, ...]
    thresholds: Tensor
    encoder: Encoder
    preparation: Preparation
    inputs: Inputs


def build_method(
    where: str, values: Mapping[str, Any], inputs: Inputs, state: Mapping[str, Tensor]
) -> Method:
    """Return a method with its trained head.

    Args:
        where: the file of the state, for messages.
        values: the options of the run.
        inputs: what the head is built from. The context of the prompts need not be
            given: its vectors are in the state.
        state: the head's tensors, by their names in the method.

    Raises:
        UserError: options of another version of this program, or a state that does not
            fit them.
    """
    options = Options.from_dict(values)
    inputs = with_those_of(inputs, state)
    head = part_class("head", options["head"]).from_options(options, inputs)
    transfer = part_class("transfer", "none")(inputs)
    loss = part_class("loss", options["loss"]).from_options(options, inputs)
    method = Method(head, transfer, loss, options.score, options.precision)
    own = {
        name.removeprefix("head."): tensor
        for name, tensor in state.items()
        if name.startswith("head.")
    }
    try:
        head.load_state_dict(own)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"{where}: its weights do not fit the options of its run ({reason}); train "
            "the setting again"
        ) from error
    return method.eval().requires_grad_(False)


def with_those_of(inputs: Inputs, state: Mapping[str, Tensor]) -> Inputs:
    """Return the inputs with what a head starts from and its state has.

    A context [M, W] of the size that the state has, and the tokens' positions.
    """
    vectors = state.get("head.prompts.context")
    if vectors is not None:
        inputs = replace(inputs, context=torch.zeros(vectors.shape[-2:]))
    return replace(inputs, token_positions=state.get("head.positions"))


def read_thresholds(values: Any, classes: Sequence[str], where: str) -> Tensor:
    """Return each class's threshold [C] of a mapping; 0.5 where it has none.

    Args:
        values: {class: probability}, as `thresholds.json` has them.
        classes: C names.
        where: the file, for messages.

    Raises:
        UserError: no mapping, an unknown class, or no number from 0 to 1.
    """
    found = torch.full((len(classes),), THRESHOLD, dtype=torch.float64)
    if not isinstance(values, Mapping):
        raise UserError(f'{where}: is not a JSON object; write {{"class": 0.5, ...}}')
    for name, value in values.items():
        if name not in classes:
            raise UserError(
                f"{where}: {name} is not a class of the run; its classes are "
                f"{', '.join(classes)}"
            )
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not 0 <= value <= 1:
            raise UserError(
                f"{where}: {name}: {value!r} is not a probability; give a number from "
                "0 to 1"
            )
        found[classes.index(name)] = value
    return found
