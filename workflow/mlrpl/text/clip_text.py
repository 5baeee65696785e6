"""The text side of a CLIP, as training reads it from `clip.safetensors`."""

import json
import os
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from mlrpl.errors import UserError
from mlrpl.runtime import faults

# The tensors of a block of the text transformer, below `blocks.{number}.`.
BLOCK_TENSORS = (
    "ln_1.weight",
    "ln_1.bias",
    "attn.in_proj_weight",
    "attn.in_proj_bias",
    "attn.out_proj.weight",
    "attn.out_proj.bias",
    "ln_2.weight",
    "ln_2.bias",
    "mlp.c_fc.weight",
    "mlp.c_fc.bias",
    "mlp.c_proj.weight",
    "mlp.c_proj.bias",
)


class ClipText:
    """The text side of a CLIP for one data set, read from `clip.safetensors`.

    Attributes:
        metadata: the file's strings (encoder, activation, sot, eot, period, ...).
        classes: the class names, in the order of the label matrix.
        class_tokens: token ids of each class name, without start and end of text.
        logit_scale: CLIP's frozen 1 / tau (100 for the published models).
    """

    def __init__(self, path: str | os.PathLike):
        """Open the file; tensors are read when they are asked for.

        Raises:
            UserError: when the file is missing or not one that `encoder` wrote.
        """
        self.path = Path(path)
        try:
            self._file = safe_open(self.path, framework="pt")
        except (OSError, SafetensorError) as error:
            remedy = faults.reading_remedy(error) or "remake it with `mlrpl encoder`"
            raise UserError(
                f"{path}: not a readable safetensors file ({faults.reason(error)}); "
                f"{remedy}"
            ) from error
        self.metadata = self._file.metadata() or {}
        missing = {"classes", "activation", "heads", "layers", "sot", "eot", "period"}
        missing -= set(self.metadata)
        if missing:
            raise UserError(
                f"{path}: no {sorted(missing)[0]} in its metadata; remake it with "
                "`mlrpl encoder`"
            )
        try:
            classes = json.loads(self.metadata["classes"])
            if not all(isinstance(name, str) for name in classes):
                raise TypeError("its classes are no list of names")
            for name in ("heads", "layers", "sot", "eot", "period"):
                int(self.metadata[name])
            self.class_tokens = [
                [int(token) for token in row if token >= 0]
                for row in self.tensor("class_tokens").tolist()
            ]
            self.logit_scale = float(self.tensor("logit_scale"))
        except (ValueError, TypeError, RuntimeError, RecursionError) as error:
            raise UserError(
                f"{path}: is not one that `mlrpl encoder` made "
                f"({faults.reason(error)}); remake it with that"
            ) from error
        self.classes: tuple[str, ...] = tuple(classes)
        if len(self.class_tokens) != len(classes):
            raise UserError(
                f"{path}: has tokens of {len(self.class_tokens)} classes and names of "
                f"{len(classes)}; remake it with `mlrpl encoder`"
            )

    def tensor(self, name: str) -> Tensor:
        """Return one tensor of the file.

        Raises:
            UserError: it has none of this name, or is cut.
        """
        try:
            return self._file.get_tensor(name)
        except (OSError, SafetensorError) as error:
            raise UserError(
                f"{self.path}: has no whole tensor {name} ({faults.reason(error)}); "
                "remake it with `mlrpl encoder`"
            ) from error

    def embed(self, tokens: list[int]) -> Tensor:
        """Return the token embeddings [len(tokens), W], reading those rows alone."""
        table = self._file.get_slice("token_embedding")
        rows = [table[token : token + 1] for token in tokens]
        width = table.get_shape()[1]
        return torch.cat(rows) if rows else torch.empty(0, width)

    def visual_projection(self) -> tuple[Tensor, Tensor]:
        """Return CLIP's linear map [K, D] of the spatial features, and its bias [D].

        Raises:
            UserError: when the encoder's image tower has no such linear map.
        """
        if "visual_projection" not in self._file.keys():  # noqa: SIM118 (no dict)
            raise UserError(
                f"{self.path}: the image tower of {self.metadata.get('encoder')} has "
                "no linear map to the joint space; use projection: random"
            )
        return self.tensor("visual_projection"), self.tensor("visual_projection_bias")
