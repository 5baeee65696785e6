"""Encoding in parts when the GPU is full, and writing meanwhile; a fake encoder."""

import threading

import h5py
import numpy as np
import pytest
import torch

from mlrpl.encoder.features import InParts
from mlrpl.encoder.towers import Encoded
from mlrpl.encoder.writer import ShardWriter
from mlrpl.errors import UserError

GRID = (2, 1)


def fake(pixels):
    """A map and a feature that tell images apart."""
    values = pixels.flatten(1).float().mean(1, keepdim=True)
    maps = values[:, None].expand(-1, 2, 3)
    return Encoded(maps, GRID, values.expand(-1, 4), 2 * values.expand(-1, 3))


class Small:
    """An encoder on a GPU with room for so many images."""

    def __init__(self, room):
        self.room, self.calls = room, []

    def __call__(self, pixels):
        self.calls.append(len(pixels))
        if len(pixels) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return fake(pixels)


def pixels(count):
    return torch.arange(count, dtype=torch.uint8)[:, None, None, None].expand(
        -1, 4, 4, 3
    )


def test_a_full_gpu_gets_smaller_parts_and_keeps_to_them(capsys):
    small = Small(room=3)
    encode = InParts(small, 8)
    for count in (8, 8, 5):
        encoded = encode(pixels(count))
        assert encoded.grid == GRID
        assert torch.equal(encoded.map, fake(pixels(count)).map)
        assert torch.equal(encoded.feature, fake(pixels(count)).feature)
        assert torch.equal(encoded.maximum, fake(pixels(count)).maximum)
    assert small.calls == [8, 4, *[2] * 4, *[2] * 4, 2, 2, 1]
    said = capsys.readouterr().err.splitlines()
    assert [line.split("; ")[1].split()[0] for line in said] == ["4", "2"]


def test_no_room_for_one_image_is_one_line():
    with pytest.raises(UserError, match=r"^device: the GPU has no memory .* image; "):
        InParts(Small(room=0), 8)(pixels(8))


def shapes():
    return {"map": (2, 3), "global": (4,), "max": (3,)}


def test_everything_is_written_in_its_place(tmp_path):
    threads = set()
    with (
        h5py.File(tmp_path / "shard.h5", "w") as file,
        ShardWriter(file, list("abcdefgh"), shapes(), 2, "fake") as writer,
    ):
        store = writer._store
        writer._store = lambda *a: (threads.add(threading.get_ident()), store(*a))
        for row in (0, 3, 6):
            for view in (0, 1):
                batch = pixels(8)[row : row + 3] + 10 * view
                writer.write(row, view, fake(batch))
    assert threads and threading.get_ident() not in threads
    with h5py.File(tmp_path / "shard.h5") as file:
        expected = np.arange(8)[:, None] + np.array([0, 10])
        assert np.array_equal(file["map"][:, :, 1, 2], expected)
        assert np.array_equal(file["global"][:, :, 3], expected)
        assert np.array_equal(file["max"][:, :, 2], 2 * expected)
        assert file["map"].dtype == np.float16


def test_a_feature_beyond_fp16_names_its_image(tmp_path):
    encoded = fake(pixels(3))
    feature = encoded.feature.clone()
    feature[2, 1] = 1e6
    with (
        pytest.raises(UserError, match="the global features of f are beyond fp16"),
        h5py.File(tmp_path / "shard.h5", "w") as file,
        ShardWriter(file, list("abcdefgh"), shapes(), 1, "fake") as writer,
    ):
        writer.write(0, 0, encoded)
        writer.write(3, 0, encoded._replace(feature=feature))
