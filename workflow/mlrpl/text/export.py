"""What training needs of a CLIP, for one data set: `clip.safetensors`.

The text tower, the token ids of the class names, and the linear map of the spatial
features into the joint space. With this file training needs neither the image tower nor
open_clip.
"""

import json
from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any

import numpy as np
import open_clip
import torch
from open_clip.transformer import LayerNorm, LayerNormFp32, QuickGELU, TextTransformer
from safetensors.torch import save
from torch import Tensor, nn

from mlrpl.encoder.clip import Clip, make_tokenizer, tensors_sha256
from mlrpl.encoder.towers import make_tower
from mlrpl.errors import UserError
from mlrpl.runtime.storage import atomic_path
from mlrpl.text.class_names import check_vocabulary, class_tokens
from mlrpl.text.clip_text import BLOCK_TENSORS


def export_clip(
    clip: Clip,
    classes: Sequence[str],
    names: Mapping[str, str],
    output: str | PathLike,
) -> None:
    """Write the file; equal models and classes give equal bytes.

    Args:
        clip: the loaded model.
        classes: C class names, in the order of the label matrix.
        names: texts that stand for some of the classes in the prompts; the others are
            tokenised as they are.
        output: the safetensors file.

    Raises:
        UserError: names for unknown classes, names that are empty or longer than the
            context, or a text tower that is not CLIP's.
    """
    tensors, tower, tokenizer, tokens = text_side(clip, classes, names)
    text_sha256 = tensors_sha256(tensors, clip.activation)
    tensors["class_tokens"] = _padded(tokens)
    visual = make_tower(clip.model.visual)
    if (projection := visual.projection()) is not None:
        tensors["visual_projection"], tensors["visual_projection_bias"] = projection
    metadata = {
        "classes": json.dumps(list(classes)),
        "names": json.dumps([names.get(name, name) for name in classes]),
        "encoder": clip.name,
        "pretrained": clip.pretrained,
        "weights_sha256": clip.weights_sha256,
        "text_sha256": text_sha256,
        "activation": clip.activation,
        "heads": str(tower["heads"]),
        "layers": str(tower["layers"]),
        "layer_norm_eps": repr(tower["eps"]),
        "sot": str(tokenizer.sot_token_id),
        "eot": str(tokenizer.eot_token_id),
        "period": str(tokenizer.encode(".")[0]),
        "map_channels": str(visual.channels),
        "embed_dim": str(tensors["text_projection"].shape[1]),
    }
    # Views of one parameter would be refused, and [out, in] is transposed above.
    whole = {name: tensor.contiguous().clone() for name, tensor in tensors.items()}
    with atomic_path(output) as temporary:
        temporary.write_bytes(_sorted_header(save(whole, metadata)))


def text_side(
    clip: Clip, classes: Sequence[str], names: Mapping[str, str]
) -> tuple[
    dict[str, Tensor], dict[str, Any], "open_clip.SimpleTokenizer", list[list[int]]
]:
    """Return the text tower's tensors and numbers, its tokenizer, the classes' tokens.

    Raises:
        UserError: as `export_clip`.
    """
    tensors, tower = text_tensors(clip)
    tokenizer = make_tokenizer(clip.name, clip.config)
    check_vocabulary(clip.name, tokenizer, len(tensors["token_embedding"]))
    if tower["pool"] == "eos" and tower["eos"] != tokenizer.eot_token_id:
        raise UserError(
            f"encoder model {clip.name}: reads its text feature at token "
            f"{tower['eos']}, not at the end of text {tokenizer.eot_token_id}; set "
            "text_cfg.eos_id in the model config"
        )
    context = len(tensors["positional_embedding"])
    return tensors, tower, tokenizer, class_tokens(tokenizer, classes, names, context)


def text_tensors(clip: Clip) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the text tower's tensors (fp32) and its numbers.

    Raises:
        UserError: when the tower is not a causal transformer of CLIP's kind whose
            feature is read at the end of text.
    """
    text: Any = getattr(clip.model, "text", clip.model)
    if text is not clip.model and not isinstance(text, TextTransformer):
        raise _unsupported(clip, f"is a {type(text).__name__}")
    pool = text.pool_type if text is not clip.model else text.text_pool_type
    if pool not in ("argmax", "eos"):
        raise _unsupported(clip, f"pools by {pool!r}, not at the end of text")
    if text.attn_mask is None or not torch.equal(
        text.attn_mask, torch.full_like(text.attn_mask, -torch.inf).triu(1)
    ):
        raise _unsupported(clip, "has no causal mask")
    if getattr(text, "cls_emb", None) is not None:
        raise _unsupported(clip, "has a class token")
    projection = text.text_projection
    if isinstance(projection, nn.Linear) and projection.bias is None:
        projection = projection.weight.T
    if not isinstance(projection, Tensor):
        raise _unsupported(clip, "has no projection without bias")
    tensors = {
        "token_embedding": text.token_embedding.weight,
        "positional_embedding": text.positional_embedding,
        "ln_final.weight": text.ln_final.weight,
        "ln_final.bias": text.ln_final.bias,
        "text_projection": projection,
        "logit_scale": clip.model.logit_scale.exp().reshape(()),
    }
    blocks = text.transformer.resblocks
    norms = [text.ln_final]
    for i, block in enumerate(blocks):
        state = block.state_dict()
        if tuple(state) != BLOCK_TENSORS:
            raise _unsupported(clip, "has blocks with other parameters")
        if _activation(block.mlp[1]) != clip.activation:
            raise _unsupported(clip, "has another activation than the config says")
        tensors |= {f"blocks.{i}.{name}": tensor for name, tensor in state.items()}
        norms += [block.ln_1, block.ln_2]
    plain = all(isinstance(norm, LayerNorm | LayerNormFp32) for norm in norms)
    if not plain or len({norm.eps for norm in norms}) != 1:
        raise _unsupported(clip, "has layer normalisations of several kinds")
    numbers = {
        "heads": blocks[0].attn.num_heads,
        "layers": len(blocks),
        "eps": norms[0].eps,
        "pool": pool,
        "eos": text.eos_id if text is not clip.model else text.text_eos_id,
    }
    return {name: tensor.detach().float() for name, tensor in tensors.items()}, numbers


def _activation(module: nn.Module) -> str:
    if isinstance(module, QuickGELU):
        return "quick_gelu"
    exact = isinstance(module, nn.GELU) and module.approximate == "none"
    return "gelu" if exact else type(module).__name__


def _padded(rows: Sequence[Sequence[int]]) -> Tensor:
    """Return rows of token ids as one matrix [C, T], padded with -1."""
    length = max(map(len, rows))
    padded = [[*row, *[-1] * (length - len(row))] for row in rows]
    return torch.from_numpy(np.array(padded, np.int64))


def _sorted_header(data: bytes) -> bytes:
    """Sort a safetensors file's metadata, which the library leaves in any order."""
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # the data stay aligned
    return len(text).to_bytes(8, "little") + text + data[start:]


def _unsupported(clip: Clip, why: str) -> UserError:
    return UserError(
        f"encoder model {clip.name}: its text tower {why}; choose a model with CLIP's "
        "own text transformer"
    )
