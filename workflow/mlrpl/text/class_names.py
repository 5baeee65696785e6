"""The names of classes as a text tower reads them, checked before anything is made."""

from collections.abc import Mapping, Sequence
from typing import Any

import open_clip

from mlrpl.encoder.clip import make_tokenizer
from mlrpl.errors import UserError


def check_class_texts(
    model: str, config: Mapping[str, Any], classes: Sequence[str], names: Mapping
) -> None:
    """Check that a model can read the names of classes; no weights are needed.

    Args:
        model: open_clip's name, or the path of a model config.
        config: the model config.
        classes: C class names.
        names: texts that stand for some of them.

    Raises:
        UserError: a tokenizer that is not CLIP's, a name for an unknown class, or one
            that is empty or longer than the context.
    """
    text = config["text_cfg"]
    if text.get("hf_model_name"):
        raise UserError(
            f"encoder model {model}: hf_model_name is not supported; choose a model "
            "with CLIP's own text transformer"
        )
    tokenizer = make_tokenizer(model, config)
    check_vocabulary(model, tokenizer, text.get("vocab_size", 49408))
    class_tokens(tokenizer, classes, names, text.get("context_length", 77))


def check_vocabulary(
    model: str, tokenizer: "open_clip.SimpleTokenizer", embeddings: int
) -> None:
    """Check that a text tower has an embedding of each token, and no others."""
    if tokenizer.vocab_size != embeddings:
        raise UserError(
            f"encoder model {model}: has {embeddings} token embeddings and CLIP's "
            f"tokenizer {tokenizer.vocab_size} tokens; choose a model with CLIP's own"
        )


def class_tokens(
    tokenizer: "open_clip.SimpleTokenizer",
    classes: Sequence[str],
    names: Mapping[str, str],
    context: int,
) -> list[list[int]]:
    """Return the token ids of each class, without start and end of text.

    Args:
        tokenizer: CLIP's.
        classes: C class names.
        names: texts that stand for some of them.
        context: tokens that the text tower reads, start and end among them.

    Raises:
        UserError: a name for an unknown class, or one that is empty or too long.
    """
    if unknown := [name for name in names if name not in classes]:
        raise UserError(
            f"names: {unknown[0]} is not a class of the data set; the classes are "
            f"{', '.join(classes)}"
        )
    rows = []
    for name in classes:
        text = names.get(name, name)
        row = tokenizer.encode(text)
        if not row:
            raise UserError(
                f"names: class {name!r} has no word; give it a text, "
                f'"{name}=SOME WORDS"'
            )
        if len(row) + 2 > context:
            raise UserError(
                f"names: {_short(text)!r} of class {_short(name)!r} is {len(row)} "
                f"tokens long and the text tower reads {context - 2}; give the class a "
                "shorter text"
            )
        rows.append(row)
    return rows


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."
