"""The weights of an open_clip tag as a file, for jobs without a network."""

import hashlib
from pathlib import Path

import pytest
import torch

from mlrpl.__main__ import main
from mlrpl.encoder import clip, fetching
from mlrpl.errors import UserError
from support import tiny_clip
from support.bad_network import Page
from support.downloads import sha256


@pytest.fixture
def tiny(tmp_path_factory):
    return tiny_clip.write(tmp_path_factory.mktemp("tiny"), tiny_clip.RESNET)


@pytest.fixture
def tagged(monkeypatch, tiny, tmp_path_factory):
    """A model that open_clip has by a name and a tag; what was fetched, in a list."""
    config, checkpoint, _ = tiny
    entry, fetched = {"url": "https://example.org/w.pt"}, []

    def download(found):
        assert found is entry
        fetched.append(found)
        return checkpoint

    found = clip.model_config(config)
    for module in (clip, fetching):
        monkeypatch.setattr(module, "find_weights", lambda model, tag: (found, entry))
    monkeypatch.setattr(clip, "download_pretrained", download)
    monkeypatch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
    return checkpoint, fetched, entry


def test_the_file_is_that_of_the_tag(tagged, tmp_path, capsys):
    checkpoint, fetched, _ = tagged
    output = tmp_path / "data/clip/tiny_tag"
    words = ["--model", "tiny", "--pretrained", "tag", "--output", str(output)]
    assert main(["weights", *words]) == 0
    digest = hashlib.sha256(Path(checkpoint).read_bytes()).hexdigest()
    said = capsys.readouterr()
    assert said.out == f"{output}: tiny, tag; SHA-256 {digest}\n"
    assert said.err.count("\n") == 1
    assert f"`encoder.sha256: {digest}` in the config takes no other" in said.err
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
        fetching.fetch_weights("tiny", "tag", tmp_path / "w")
    assert not list(tmp_path.iterdir())


def test_the_hash_in_an_address_is_checked(tagged, server, tmp_path, capsys):
    checkpoint, fetched, entry = tagged
    data = Path(checkpoint).read_bytes()
    digest = sha256(data)
    for name in (digest, "0" * 64):
        server.pages[f"/clip/{name}/w.pt"] = Page(data)
    entry["url"] = server.url(f"/clip/{digest}/w.pt")
    assert fetching.fetch_weights("tiny", "tag", tmp_path / "w") == digest
    assert (tmp_path / "w").read_bytes() == data
    assert not fetched and "hash was not known" not in capsys.readouterr().err
    # Another file under that address is not taken; the hub's copy is, with a line.
    entry["url"] = server.url(f"/clip/{'0' * 64}/w.pt")
    with pytest.raises(UserError, match=rf"has sha256 {digest}, not {'0' * 64}"):
        fetching.fetch_weights("tiny", "tag", tmp_path / "v")
    entry["hf_hub"] = "somebody/model/"
    assert fetching.fetch_weights("tiny", "tag", tmp_path / "v") == digest
    assert len(fetched) == 1
    said = capsys.readouterr().err.splitlines()
    assert (
        said[-2].endswith("; trying the hub") and "its hash was not known" in said[-1]
    )


def test_with_a_hash_in_the_config_no_other_file_is_taken(tagged, tmp_path, capsys):
    checkpoint, _, _ = tagged
    data = Path(checkpoint).read_bytes()
    with pytest.raises(UserError, match=f"has sha256 {sha256(data)}, not {'1' * 64}"):
        fetching.fetch_weights("tiny", "tag", tmp_path / "w", "1" * 64)
    assert not (tmp_path / "w").exists()
    found = fetching.fetch_weights("tiny", "tag", tmp_path / "w", sha256(data))
    assert found == sha256(data) and not capsys.readouterr().err


def test_what_open_clip_has_is_taken_without_a_network(
    tagged, tmp_path, monkeypatch, capsys
):
    checkpoint, fetched, entry = tagged
    data = Path(checkpoint).read_bytes()
    entry["hf_hub"] = "somebody/model/"
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    place = tmp_path / "hub/models--somebody--model/snapshots/1"
    place.mkdir(parents=True)
    (place / "open_clip_pytorch_model.bin").write_bytes(b"older")
    fetching.fetch_weights("tiny", "tag", tmp_path / "w")
    assert (tmp_path / "w").read_bytes() == b"older"
    assert not fetched and "its hash was not known" in capsys.readouterr().err
    # Not if the config asks for another one.
    fetching.fetch_weights("tiny", "tag", tmp_path / "w", sha256(data))
    assert (tmp_path / "w").read_bytes() == data


def test_a_file_of_ones_own_is_not_fetched(tiny, tmp_path):
    config, checkpoint, _ = tiny
    with pytest.raises(UserError, match="is a file, and nothing has to be fetched"):
        fetching.fetch_weights(config, checkpoint, tmp_path / "w")
