"""CLIP's byte-pair encoding against open_clip's tokenizer, and without torch."""

import json
import random
import subprocess
import sys

import open_clip
import pytest

from mlrpl.text import byte_pairs
from mlrpl.text.context_tokens import export_context

TEXTS = [
    "a photo of a",
    "a photo of a tv-monitor.",
    "Traffic   light,\tPERSON\n hot dog!",
    "it's what we've said: they'll re-enter, I'd go",
    "1234 3.5 x2",
    "Straße, naïve café, žluťoučký kůň, ΑΒΓ",
    "猫と犬 🐈‍⬛ 👩‍👩‍👧",
    "&amp;lt;b&amp;gt; &eacute; &nbsp;",
    "schÃ¶n â€œquotedâ€\x9d",
    "<start_of_text> inside <end_of_text> <START_OF_TEXT>",
    "supercalifragilisticexpialidocious antidisestablishmentarianism",
    "aaaaaaaaaaaaaaaa abababababab",
    "",
    " \t ",
]


@pytest.fixture(scope="module")
def theirs():
    return open_clip.get_tokenizer("RN101-quickgelu")


@pytest.mark.parametrize("text", TEXTS)
def test_tokens_are_open_clips(theirs, text):
    assert byte_pairs.encode(text) == theirs.encode(text)


def test_tokens_of_drawn_texts_are_open_clips(theirs):
    draws = random.Random(0)
    letters = "abcdefghijklmnopqrstuvwxyz" * 3 + "ABC0123456789 .,-_'\"!?&;#äß漢é\u00a0"
    for _ in range(3000):
        text = "".join(draws.choices(letters, k=draws.randrange(1, 40)))
        assert byte_pairs.encode(text) == theirs.encode(text), text


def test_every_token_is_that_of_its_letters(theirs):
    _, ids, ranks = byte_pairs._vocabulary()
    assert ids == theirs.encoder and len(ids) == byte_pairs.TOKENS
    assert ranks == theirs.bpe_ranks


def test_a_model_with_another_cleaning_has_its_own_tokenizer(tmp_path):
    text = {"context_length": 16, "tokenizer_kwargs": {"clean": "canonicalize"}}
    config = {"embed_dim": 8, "vision_cfg": {}, "text_cfg": text}
    path = tmp_path / "x.json"
    path.write_text(json.dumps(config))
    found = export_context(str(path), "a_tv-set", tmp_path / "out.json")
    cleaned = open_clip.SimpleTokenizer(clean="canonicalize")
    assert found == cleaned.encode("a tv-set") != byte_pairs.encode("a tv-set")


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_command_imports_no_torch_and_takes_little_memory(tmp_path):
    program = (
        "import sys; from mlrpl.__main__ import main;"
        f"main(['context', '--model', 'RN101-quickgelu', '--text', 'a_photo_of_a',"
        f" '--output', {str(tmp_path / 'out.json')!r}]);"
        "assert not {'torch', 'open_clip'} & set(sys.modules);"
        "print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert int(done.stdout.split()[-1]) < 150_000  # KB; with torch it is 847,000
    content = json.loads((tmp_path / "out.json").read_text())
    assert content["tokens"] == byte_pairs.encode("a photo of a")
