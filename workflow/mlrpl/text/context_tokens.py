"""The tokens of a text that context vectors start from.

With them at hand, training needs no open_clip, whose import takes longer than a small
training; nor does this, where the model's tokenizer is CLIP's as it was published.
"""

import json
from os import PathLike
from pathlib import Path
from typing import Any

from mlrpl.runtime.storage import atomic_path
from mlrpl.text import byte_pairs


def export_context(model: str, text: str, output: str | PathLike) -> list[int]:
    """Write a context's tokens as JSON and return them.

    Args:
        model: open_clip's name, or a model config (.json).
        text: as the option `context_init` has it; an underscore is a space.
        output: the file, with `encoder`, `text` and `tokens`.

    Raises:
        UserError: when the model is unknown or its tokenizer is not CLIP's.
    """
    words = text.replace("_", " ")
    if _has_published_tokenizer(model):
        tokens = byte_pairs.encode(words)
    else:
        # Another tokenizer, or a fault, of which it says what is wrong.
        from mlrpl.encoder.clip import tokenize

        tokens = tokenize(model, words)
    content = {"encoder": model, "text": text, "tokens": tokens}
    with atomic_path(output) as path:
        path.write_text(json.dumps(content) + "\n")
    return tokens


def _has_published_tokenizer(model: str) -> bool:
    """Return whether a model is sound, and reads texts as CLIP does."""
    own = model.endswith(".json")
    path = byte_pairs.folder() / f"model_configs/{model}.json"
    try:
        content = json.loads((Path(model) if own else path).read_text("utf-8"))
        config: Any = content.get("model_cfg", content) if own else content
        text = config["text_cfg"]
        whole = isinstance(config["vision_cfg"], dict) and "embed_dim" in config
        return whole and not (
            text.get("hf_tokenizer_name") or text.get("tokenizer_kwargs")
        )
    except (
        OSError,
        ValueError,
        RecursionError,
        LookupError,
        AttributeError,
        TypeError,
    ):
        return False
