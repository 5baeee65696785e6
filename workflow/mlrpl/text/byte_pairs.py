"""CLIP's byte-pair encoding of a text, without the import of torch.

open_clip's tokenizer does the same and imports torch to return a tensor: 0.8 GB of
memory and seconds for a few numbers. The vocabulary is read where open_clip has it.

Radford et al., Learning Transferable Visual Models From Natural Language Supervision,
2021; Sennrich et al., Neural Machine Translation of Rare Words with Subword Units,
2016.
"""

import functools
import gzip
import html
import importlib.util
import itertools
from pathlib import Path

import ftfy
import regex

VOCABULARY = "bpe_simple_vocab_16e6.txt.gz"
# Of CLIP's 49,408 tokens: 256 bytes, these again at the end of a word, merges, and the
# start and end of a text.
TOKENS = 49_408
MERGES = TOKENS - 2 * 256 - 2
END_OF_WORD = "</w>"
SPECIAL = ("<start_of_text>", "<end_of_text>")
WORD = regex.compile(
    "|".join(SPECIAL) + r"|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+",
    regex.IGNORECASE,
)


def folder() -> Path:
    """Return where open_clip is installed; it is not imported.

    Raises:
        ModuleNotFoundError: it is not installed.
    """
    found = importlib.util.find_spec("open_clip")
    if found is None or not found.submodule_search_locations:
        raise ModuleNotFoundError("no module named open_clip", name="open_clip")
    return Path(found.submodule_search_locations[0])


def encode(text: str) -> list[int]:
    """Return the token ids of a text, without start and end of text.

    Raises:
        ModuleNotFoundError: open_clip is not installed.
    """
    symbols, ids, _ = _vocabulary()
    cleaned = html.unescape(html.unescape(ftfy.fix_text(text)))
    tokens: list[int] = []
    for word in WORD.findall(" ".join(cleaned.split()).lower()):
        if word in SPECIAL:
            tokens.append(ids[word])
        else:
            spelt = "".join(symbols[byte] for byte in word.encode("utf-8"))
            tokens += [ids[part] for part in _merged(spelt)]
    return tokens


@functools.cache
def _merged(word: str) -> tuple[str, ...]:
    """Return a word's parts: of all neighbours the pair that ranks first is joined."""
    _, _, ranks = _vocabulary()
    parts = [*word[:-1], word[-1] + END_OF_WORD]
    while len(parts) > 1:
        pairs = set(itertools.pairwise(parts))
        first = min(pairs, key=lambda pair: ranks.get(pair, len(ranks)))
        if first not in ranks:
            break
        joined: list[str] = []
        for part in parts:
            if joined and (joined[-1], part) == first:
                joined[-1] += part
            else:
                joined.append(part)
        parts = joined
    return tuple(parts)


@functools.cache
def _vocabulary() -> tuple[dict[int, str], dict[str, int], dict[tuple[str, ...], int]]:
    """Return the symbol of each byte, the id of each token, the rank of each pair."""
    printed = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printed]
    symbols = {byte: chr(byte) for byte in printed}
    symbols |= {byte: chr(256 + number) for number, byte in enumerate(others)}
    with gzip.open(folder() / VOCABULARY, "rt", encoding="utf-8") as file:
        lines = file.read().split("\n")[1 : MERGES + 1]
    pairs = [tuple(line.split()) for line in lines]
    letters = list(symbols.values())
    ends = [letter + END_OF_WORD for letter in letters]
    names = [*letters, *ends, *("".join(pair) for pair in pairs), *SPECIAL]
    ids = {name: number for number, name in enumerate(names)}
    return symbols, ids, {pair: rank for rank, pair in enumerate(pairs)}
