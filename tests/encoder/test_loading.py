"""Batches of decoded images reach the main process with little shared memory, too."""

import errno

import numpy as np
import pytest
import torch

from mlrpl.archives.formats import open_archive
from mlrpl.encoder import loading
from mlrpl.encoder.images import Preparation, ShardImages
from support.pictures import COUNT


@pytest.fixture
def load(folder, index):
    """All batches of the shard, as lists of images."""

    def loaded(processes: int, archive="images.zip", batch_size=3):
        preparation = Preparation(64, views=("full", "flip"))
        with open_archive(folder / archive) as opened:
            images = ShardImages(opened, index.images, preparation)
            return list(loading.batches(images, batch_size, processes))

    return loaded


@pytest.fixture
def alone(load):
    """What one process loads: the reference."""
    return load(1)


def equal(batches, others) -> bool:
    return len(batches) == len(others) and all(map(torch.equal, batches, others))


def test_processes_load_what_one_loads(load, alone):
    assert torch.cat(alone).shape == (COUNT, 2, 64, 64, 3)
    assert [len(batch) for batch in alone] == [3, 3, 1]
    assert equal(load(2), alone)


def test_batches_go_through_a_pipe_where_shared_memory_is_full(
    load, alone, monkeypatch
):
    """Every second batch, as where one batch alone has room."""
    calls = []
    share = torch.Tensor.share_memory_

    def full(tensor):
        calls.append(tensor)
        if len(calls) % 2:
            raise RuntimeError("unable to allocate shared memory(shm): No space left")
        return share(tensor)

    monkeypatch.setattr(torch.Tensor, "share_memory_", full)
    sent = []
    monkeypatch.setattr(loading.torch, "from_numpy", spy(sent))
    assert equal(load(2, batch_size=1), load(1, batch_size=1))
    assert any(isinstance(batch, np.ndarray) for batch in sent)
    assert equal(load(2), alone)


def spy(seen: list):
    """Count what the main process has to turn into a tensor: it came by a pipe."""
    original = torch.from_numpy

    def turned(array):
        seen.append(array)
        return original(array)

    return turned


def test_one_process_decodes_where_no_other_can_be_started(
    load, alone, monkeypatch, capsys
):
    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(loading.multiprocessing, "Semaphore", full)
    assert equal(load(2), alone)
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "(No space left on device: is /dev/shm there" in error
