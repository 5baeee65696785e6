"""The small sizes, and the text side of a random CLIP at them."""

import pytest

from mlrpl.bench import sizes as all_sizes
from mlrpl.bench import step
from mlrpl.bench.random_clip import random_clip, write_texts
from mlrpl.text.clip_text import ClipText


@pytest.fixture(scope="module")
def sizes():
    return all_sizes.quick()


@pytest.fixture(scope="module")
def clip(sizes, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bench")
    texts = write_texts(sizes, random_clip(sizes), folder)
    return ClipText(texts[step.DATASET])
