"""The tokens of a text that context vectors start from.

With them at hand, training needs no open_clip, whose import takes longer than a small
training.
"""

import json
from os import PathLike

from mlrpl.encoder.clip import tokenize
from mlrpl.runtime.storage import atomic_path


def export_context(model: str, text: str, output: str | PathLike) -> list[int]:
    """Write a context's tokens as JSON and return them.

    Args:
        model: open_clip's name, or a model config (.json).
        text: as the option `context_init` has it; an underscore is a space.
        output: the file, with `encoder`, `text` and `tokens`.

    Raises:
        UserError: when the model is unknown or its tokenizer is not CLIP's.
    """
    tokens = tokenize(model, text.replace("_", " "))
    content = {"encoder": model, "text": text, "tokens": tokens}
    with atomic_path(output) as path:
        path.write_text(json.dumps(content) + "\n")
    return tokens
