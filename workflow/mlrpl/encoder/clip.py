"""Any open_clip model: by name and tag, or by model config and checkpoint file.

A model is loaded strictly, in fp32, on the CPU. What open_clip only warns of, a text
tower built with another activation than its weights were trained with, is an error here
(open_clip issue 771).
"""

import difflib
import hashlib
import http.client
import json
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import open_clip
import torch
from open_clip.convert import convert_state_dict
from open_clip.model import convert_to_custom_text_state_dict, resize_pos_embed
from open_clip.pretrained import download_pretrained
from torch import Tensor, nn

from mlrpl.encoder.checkpoint import OPENAI_NUMBERS, read_checkpoint
from mlrpl.errors import UserError

_CHECKPOINTS = (".bin", ".pt", ".pth", ".safetensors")


@dataclass(frozen=True)
class Clip:
    """A frozen open_clip model.

    Attributes:
        model: open_clip's `CLIP` or `CustomTextCLIP`; fp32, evaluation mode.
        name: the model as it was asked for, a name or the path of a model config.
        pretrained: the weights as they were asked for, a tag or a path.
        config: the model config.
        activation: "quick_gelu" or "gelu", of both transformers.
        weights_sha256: hash of the image tower, equal for fp16 and fp32 files.
    """

    model: Any
    name: str
    pretrained: str
    config: Mapping[str, Any]
    activation: str
    weights_sha256: str


def load_clip(
    model: str, pretrained: str, image_size: int, weights: str | None = None
) -> Clip:
    """Load a model for square images of `image_size` pixels.

    The position embeddings of a VisionTransformer are resized to that size, as
    open_clip does; a ModifiedResNet keeps its own (see `towers`).

    Args:
        model: open_clip's model name, or the path of a model config (.json).
        pretrained: open_clip's tag, or the path of a checkpoint.
        image_size: side of the images, in pixels.
        weights: the file of a tag, where it has been fetched before (`fetch_weights`);
            of a checkpoint of one's own it is not needed.

    Raises:
        UserError: unknown model or tag, a checkpoint that is missing, damaged or of
            another architecture, or an activation that the weights do not go with.
    """
    config, tag = find_weights(model, pretrained)
    network = _build(model, config, image_size)
    path = pretrained
    if tag:
        path = weights or download_tag(model, pretrained, tag)
    state = read_checkpoint(path)
    openai = [state.pop(name, None) for name in OPENAI_NUMBERS]
    if openai[0] is not None and not config.get("quick_gelu", False):
        raise UserError(
            f"{path}: OpenAI's weights were trained with QuickGELU, which {model} does "
            f"not use; {_with_activation(model, True)}"
        )
    _load(network, state, f"{path}", model)
    network.eval().requires_grad_(False)
    activation = "quick_gelu" if config.get("quick_gelu", False) else "gelu"
    transformer = isinstance(network.visual, open_clip.transformer.VisionTransformer)
    return Clip(
        model=network,
        name=model,
        pretrained=pretrained,
        config=config,
        activation=activation,
        # In a ResNet the activation is ReLU whatever the config says.
        weights_sha256=tensors_sha256(
            network.visual.state_dict(), activation if transformer else ""
        ),
    )


def find_weights(
    model: str, pretrained: str
) -> tuple[dict[str, Any], Mapping[str, Any]]:
    """Return the model config, and open_clip's entry of a tag or {} for a file.

    Nothing is built, loaded or fetched.

    Raises:
        UserError: unknown model or tag, a checkpoint that is missing, or an activation
            that the tag's weights do not go with.
    """
    config = model_config(model)
    tag = {} if _is_file(model) else open_clip.get_pretrained_cfg(model, pretrained)
    if tag:
        _check_tag_activation(model, pretrained, config, tag)
    elif not Path(pretrained).is_file():
        raise UserError(_no_weights(model, pretrained))
    return config, tag


def model_config(model: str) -> dict[str, Any]:
    """Return the config of an open_clip name or of a config file.

    Raises:
        UserError: when there is no such model, or the file is not a model config.
    """
    if not _is_file(model):
        names = open_clip.list_models()
        if model in names:
            return open_clip.get_model_config(model)
        close = difflib.get_close_matches(model, names, n=1)
        hint = f"did you mean {close[0]}?" if close else "see open_clip.list_models()"
        raise UserError(
            f"encoder model {model}: open_clip has no model of this name; {hint}"
        )
    try:
        config = json.loads(Path(model).read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(
            f"{model}: cannot be read ({error.strerror}); give the path of a model "
            "config, or one of open_clip's model names"
        ) from error
    except (ValueError, RecursionError) as error:
        raise UserError(
            f"{model}: is not JSON ({error}); give open_clip's model config"
        ) from error
    if isinstance(config, dict):
        config = config.get("model_cfg", config)  # as in open_clip_config.json
    for key in ("embed_dim", "vision_cfg", "text_cfg"):
        if not isinstance(config, dict) or key not in config:
            raise UserError(
                f"{model}: has no {key}; give a model config in open_clip's form"
            )
        if key != "embed_dim" and not isinstance(config[key], dict):
            raise UserError(
                f"{model}: its {key} is {json.dumps(config[key])}, no mapping; give a "
                "model config in open_clip's form"
            )
    return config


def make_tokenizer(
    model: str, config: Mapping[str, Any]
) -> "open_clip.SimpleTokenizer":
    """Return a model's own tokenizer.

    Raises:
        UserError: when that is a Hugging Face tokenizer: its special tokens differ.
    """
    text = config["text_cfg"]
    if text.get("hf_tokenizer_name"):
        raise UserError(
            f"encoder model {model}: its tokenizer is Hugging Face's "
            f"{text['hf_tokenizer_name']}; choose a model with CLIP's own"
        )
    return open_clip.SimpleTokenizer(
        context_length=text.get("context_length", 77),
        **text.get("tokenizer_kwargs") or {},
    )


def tokenize(model: str, text: str) -> list[int]:
    """Return the token ids of a text, without start and end of text."""
    return make_tokenizer(model, model_config(model)).encode(text)


def tensors_sha256(tensors: Mapping[str, Tensor], setting: str = "") -> str:
    """Return a SHA-256 over names, types, shapes and values, in the names' order.

    Floating-point values are hashed as fp32, so that an fp16 file and its fp32 copy
    agree. Counters of batch normalisation, which nothing depends on, are left out.

    Args:
        tensors: the tensors by name.
        setting: what else the result depends on.
    """
    digest = hashlib.sha256(setting.encode())
    for name in sorted(tensors):
        if name.endswith("num_batches_tracked"):
            continue
        tensor = tensors[name].detach().cpu()
        tensor = tensor.float() if tensor.is_floating_point() else tensor
        digest.update(f"\n{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()


def _is_file(model: str) -> bool:
    return model.endswith(".json")


def _check_tag_activation(
    model: str, tag: str, config: Mapping[str, Any], entry: Mapping[str, Any]
) -> None:
    trained = bool(entry.get("quick_gelu", False))
    if trained != bool(config.get("quick_gelu", False)):
        names = ("GELU", "QuickGELU")
        raise UserError(
            f"encoder model {model}: its weights {tag} were trained with "
            f"{names[trained]} and it uses {names[not trained]}; "
            f"{_with_activation(model, trained)}"
        )


def _with_activation(model: str, quick: bool) -> str:
    """Say how to get a model with the right activation."""
    if _is_file(model):
        return f'set "quick_gelu": {str(quick).lower()} in it'
    plain = model.removesuffix("-quickgelu")
    other = f"{plain}-quickgelu" if quick else plain
    if other in open_clip.list_models():
        return f"use {other}"
    return f"use a model config (.json) with quick_gelu {str(quick).lower()}"


def _no_weights(model: str, pretrained: str) -> str:
    if _is_file(model) or "/" in pretrained or pretrained.endswith(_CHECKPOINTS):
        return (
            f"{pretrained}: there is no checkpoint; give the path of the file"
            f"{'' if _is_file(model) else ', or a tag of open_clip'}"
        )
    tags = open_clip.list_pretrained_tags_by_model(model)
    return (
        f"encoder pretrained {pretrained}: {model} has no such tag; give "
        f"{' or '.join(tags) + ', or ' if tags else ''}the path of a checkpoint"
    )


def download_tag(model: str, tag: str, entry: Mapping[str, Any]) -> str:
    """Return the file of a tag, which open_clip fetches if it does not have it.

    Raises:
        UserError: it cannot be downloaded.
    """
    try:
        return download_pretrained(entry)
    except (OSError, RuntimeError, http.client.HTTPException) as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"encoder model {model}: the weights {tag} could not be downloaded "
            f"({reason}); fetch the checkpoint by hand and give its path as pretrained"
        ) from error


def _build(model: str, original: Mapping[str, Any], image_size: int) -> Any:
    """Return the model with random weights."""
    config: dict[str, Any] = deepcopy(dict(original))
    vision, text = config["vision_cfg"], config["text_cfg"]
    for part, key in ((config, "multimodal_cfg"), (text, "hf_model_name")):
        if part.get(key):
            raise UserError(
                f"encoder model {model}: {key} is not supported; choose a model with "
                "CLIP's own text transformer"
            )
    custom_text = config.pop("custom_text", False)
    if vision.get("timm_model_name"):
        vision["timm_model_pretrained"] = False
    elif not isinstance(vision.get("layers"), list | tuple):
        vision["image_size"] = image_size
    try:
        return (open_clip.CustomTextCLIP if custom_text else open_clip.CLIP)(**config)
    except (TypeError, ValueError, RuntimeError, AssertionError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(
            f"encoder model {model}: open_clip cannot build it ({reason}); correct the "
            "model config"
        ) from error


def _load(network: nn.Module, state: dict[str, Tensor], path: str, model: str) -> None:
    """Load a checkpoint; it must have the model's tensors and no others."""
    state = dict(convert_state_dict(network, state))
    if "positional_embedding" in state and not hasattr(network, "positional_embedding"):
        state = convert_to_custom_text_state_dict(state)
    resize_pos_embed(state, network)
    wanted = network.state_dict()
    for name, tensor in wanted.items():
        found = state.get(name)
        if found is None and name.endswith("num_batches_tracked"):
            state[name] = tensor
            continue
        if found is not None and name.startswith("logit_") and found.numel() == 1:
            found = state[name] = found.reshape(tensor.shape)
        if found is None or found.shape != tensor.shape:
            ours = f"{'x'.join(map(str, tensor.shape)) or 'a number'}"
            fault = (
                f"has no tensor {name}"
                if found is None
                else f"has a tensor {name} of {'x'.join(map(str, found.shape))} "
                f"instead of {ours}"
            )
            raise UserError(
                f"{path}: is a checkpoint of another architecture than {model}: it "
                f"{fault}; give the model that belongs to it"
            )
    if extra := [name for name in state if name not in wanted]:
        raise UserError(
            f"{path}: is a checkpoint of another architecture than {model}: it has a "
            f"tensor {extra[0]}, which that lacks; give the model that belongs to it"
        )
    with torch.no_grad():
        network.load_state_dict(state)
