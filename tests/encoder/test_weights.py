"""The weights of an open_clip tag as a file, for jobs without a network."""

import hashlib
from pathlib import Path

import pytest
import torch

from mlrpl.__main__ import main
from mlrpl.encoder import clip
from mlrpl.errors import UserError
from support import tiny_clip


@pytest.fixture
def tiny(tmp_path_factory):
    return tiny_clip.write(tmp_path_factory.mktemp("tiny"), tiny_clip.RESNET)


@pytest.fixture
def tagged(monkeypatch, tiny):
    """A model that open_clip has by a name and a tag; what was fetched, in a list."""
    config, checkpoint, _ = tiny
    entry, fetched = {"url": "https://example.org/w.pt"}, []

    def download(found):
        assert found is entry
        fetched.append(found)
        return checkpoint

    found = clip.model_config(config)
    monkeypatch.setattr(clip, "find_weights", lambda model, tag: (found, entry))
    monkeypatch.setattr(clip, "download_pretrained", download)
    return checkpoint, fetched


def test_the_file_is_that_of_the_tag(tagged, tmp_path, capsys):
    checkpoint, fetched = tagged
    output = tmp_path / "data/clip/tiny_tag"
    words = ["--model", "tiny", "--pretrained", "tag", "--output", str(output)]
    assert main(["weights", *words]) == 0
    digest = hashlib.sha256(Path(checkpoint).read_bytes()).hexdigest()
    assert capsys.readouterr().out == f"{output}: tiny, tag; SHA-256 {digest}\n"
    assert output.read_bytes() == Path(checkpoint).read_bytes()
    # What is loaded from it is the same, and nothing is fetched again.
    by_file = clip.load_clip("tiny", "tag", 32, str(output))
    assert len(fetched) == 1
    by_tag = clip.load_clip("tiny", "tag", 32)
    assert len(fetched) == 2
    assert by_file.weights_sha256 == by_tag.weights_sha256
    assert (by_file.name, by_file.pretrained) == (by_tag.name, by_tag.pretrained)
    states = by_file.model.state_dict(), by_tag.model.state_dict()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_without_a_network_there_is_one_line_and_no_file(tagged, tmp_path, monkeypatch):
    def offline(entry):
        raise OSError("Name or service not known")

    monkeypatch.setattr(clip, "download_pretrained", offline)
    with pytest.raises(UserError, match=r"weights tag could not be downloaded \(Name"):
        clip.fetch_weights("tiny", "tag", tmp_path / "w")
    assert not list(tmp_path.iterdir())


def test_a_file_of_ones_own_is_not_fetched(tiny, tmp_path):
    config, checkpoint, _ = tiny
    with pytest.raises(UserError, match="is a file, and nothing has to be fetched"):
        clip.fetch_weights(config, checkpoint, tmp_path / "w")
