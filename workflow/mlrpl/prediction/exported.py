"""A trained setting in one file: safetensors, read without running any code.

The tensors are the trained head's (`head.`), what it counted on its training
labels (`buffer.head.`), the class vectors, and, where the head reads prompts, the
text side of CLIP by the names of `clip.safetensors`. The metadata have all else as
JSON under the key `mlrpl`.
"""

import json
from dataclasses import asdict, replace
from os import PathLike
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from mlrpl.encoder.clip import model_config
from mlrpl.encoder.images import Preparation
from mlrpl.errors import UserError
from mlrpl.methods.inputs import Inputs
from mlrpl.prediction.encoders import found_file
from mlrpl.prediction.trained import (
    Encoder,
    Trained,
    build_method,
    read_thresholds,
)
from mlrpl.runtime.storage import atomic_path
from mlrpl.text.clip_text import ClipText
from mlrpl.text.tower import TextTower

FORMAT = "mlrpl export 1"
OWN = ("head.", "buffer.head.", "class_vectors")
KEYS = ("format", "run", "classes", "thresholds", "encoder", "preparation", "sizes")


def write_export(trained: Trained, path: str | PathLike) -> None:
    """Write a trained setting as one file, whole or not at all.

    Raises:
        UserError: the encoder's model config is not there, which goes into the file.
    """
    method, inputs = trained.method, trained.inputs
    saved = method.head.state_dict()
    tensors = {f"head.{name}": tensor for name, tensor in saved.items()}
    has_text = any(isinstance(module, TextTower) for module in method.modules())
    metadata: dict[str, str] = {}
    if has_text:
        metadata |= inputs.clip.metadata
        tensors |= {name: inputs.clip.tensor(name) for name in text_tensors(inputs)}
    else:  # what the head counted; a head with prompts counts nothing
        tensors |= {
            f"buffer.head.{name}": tensor
            for name, tensor in method.head.named_buffers()
            if name not in saved
        }
    tensors["class_vectors"] = inputs.class_vectors
    content = {
        "format": FORMAT,
        "run": trained.run,
        "classes": trained.classes,
        "thresholds": dict(
            zip(trained.classes, trained.thresholds.tolist(), strict=True)
        ),
        "encoder": asdict(_with_config(trained.encoder, trained.where)),
        "preparation": asdict(trained.preparation),
        "sizes": {
            "map_channels": inputs.map_channels,
            "embed_dim": inputs.embed_dim,
            "grid": inputs.grid,
        },
    }
    metadata["mlrpl"] = json.dumps(content)
    whole = {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}
    with atomic_path(path) as temporary:
        temporary.write_bytes(save(whole, metadata))


def text_tensors(inputs: Inputs) -> list[str]:
    """Return the names of the tensors of CLIP's text side."""
    with safe_open(inputs.clip.path, framework="pt") as file:
        names = list(file.keys())
    return [name for name in names if not name.startswith(OWN)]


def read_export(path: str | PathLike) -> Trained:
    """Return the trained setting of an exported file.

    Raises:
        UserError: the file is missing, damaged or something else.
    """
    tensors: dict[str, Tensor] = {}
    try:
        with safe_open(path, framework="pt") as file:
            said = json.loads((file.metadata() or {})["mlrpl"])
            found = {key: said[key] for key in KEYS}
            for name in file.keys():  # noqa: SIM118 (no dict)
                if name.startswith(OWN):
                    tensors[name] = file.get_tensor(name)
            has_text = "token_embedding" in file.keys()  # noqa: SIM118
        vectors = tensors.pop("class_vectors")
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        reason = "" if isinstance(error, KeyError) else f" ({error})"
        raise UserError(
            f"{path}: is not a file that `mlrpl export` made{reason}; give such a file "
            "or the folder of a run"
        ) from error
    if found["format"] != FORMAT:
        raise UserError(
            f"{path}: is in the format {found['format']!r}, and this version reads "
            f"{FORMAT!r}; export the run again"
        )
    classes = tuple(found["classes"])
    sizes = found["sizes"]
    inputs = Inputs(
        map_channels=sizes["map_channels"],
        embed_dim=sizes["embed_dim"],
        class_vectors=vectors,
        clip=ClipText(path) if has_text else None,
        # What a head counts on labels is put in its place below.
        known=torch.zeros(1, len(classes), dtype=torch.int8),
        grid=tuple(sizes["grid"]),
    )
    method = build_method(str(path), found["run"]["options"], inputs, tensors)
    buffers = dict(method.named_buffers())
    for name, tensor in tensors.items():
        if name.startswith("buffer."):
            buffers[name.removeprefix("buffer.")].copy_(tensor)
    return Trained(
        where=str(path),
        run=found["run"],
        method=method,
        classes=classes,
        thresholds=read_thresholds(found["thresholds"], classes, str(path)),
        encoder=Encoder(**found["encoder"]),
        preparation=Preparation(**found["preparation"]),
        inputs=inputs,
    )


def _with_config(encoder: Encoder, where: str) -> Encoder:
    """Return the encoder with the content of its model config, its paths absolute."""
    model, pretrained = (
        found_file(name, where) for name in (encoder.model, encoder.pretrained)
    )
    config = encoder.config
    if config is None and encoder.model.endswith(".json"):
        config = model_config(str(model or encoder.model))
    return replace(
        encoder,
        model=Path(encoder.model).name if config else encoder.model,
        pretrained=str(pretrained or encoder.pretrained),
        config=config,
    )
