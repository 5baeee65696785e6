"""Several GPUs of one machine: stand-ins for cards, real processes and locks."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from types import SimpleNamespace

import pytest
import torch

from mlrpl.runtime import device, gpu_locks

A, B, C = (f"GPU-{letter * 8}-0000-0000-0000-000000000000" for letter in "abc")
# Chooses a card as a job does, where torch sees the cards that it is told of.
JOB = """\
import sys
from pathlib import Path
from types import SimpleNamespace
import torch
cards = sys.argv[2:]
torch.cuda.is_available = lambda: True
torch.cuda.device_count = lambda: len(cards)
torch.cuda.get_device_properties = lambda number: SimpleNamespace(uuid=cards[number])
torch.cuda.set_device = lambda device: None
from mlrpl.runtime import device, gpu_locks
claim = gpu_locks.claim
gpu_locks.claim = lambda found: claim(found, Path(sys.argv[1]))
print(cards[device.choose_device("auto").index], flush=True)
input()
"""
# The same without torch, whose import takes longer than all else here.
HOLD = """\
import sys
from pathlib import Path
from mlrpl.runtime.gpu_locks import claim
cards = sys.argv[2:]
print(cards[claim(cards, Path(sys.argv[1]))], flush=True)
input()
"""


@pytest.fixture
def jobs(tmp_path, repository):
    """Start a job that sees some cards; return its process and the card it took."""
    running = []

    def start(*cards, program=HOLD, shared=tmp_path, **environment):
        process = subprocess.Popen(
            [sys.executable, "-c", program, str(shared), *cards],
            env={
                **os.environ,
                "PYTHONPATH": str(repository / "workflow"),
                **environment,
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        return process, process.stdout.readline().strip()

    yield start
    for process in running:
        with contextlib.suppress(ValueError):
            process.communicate("\n", timeout=30)


def test_no_card_is_taken_twice_while_another_is_free(jobs):
    taken = [jobs(A, B, C) for _ in range(5)]
    assert [card for _, card in taken] == [A, B, C, A, B]
    process, _ = taken[2]
    process.kill()  # a lock ends with its process, however that ends
    process.communicate()
    assert jobs(A, B, C)[1] == C


def test_a_job_that_is_told_to_stop_gives_its_card_back(jobs):
    process, card = jobs(A, B, program=JOB)
    assert card == A
    process.send_signal(signal.SIGTERM)
    process.communicate()
    assert jobs(A, B)[1] == A


def test_cards_are_told_apart_whatever_their_order_and_numbers_are(jobs):
    """As CUDA_VISIBLE_DEVICES and CUDA_DEVICE_ORDER put them."""
    assert jobs(A, B, C)[1] == A
    assert jobs(A, B)[1] == B
    assert jobs(B, A, C)[1] == C
    assert jobs(C, B, A)[1] == C  # each has one: the first in its own order


@pytest.mark.parametrize("name", [A, "MIG-12345678-1234-1234-1234-123456789abc"])
def test_one_card_alone_is_held_for_those_that_see_more(jobs, name):
    assert jobs(name, CUDA_VISIBLE_DEVICES=name)[1] == name
    assert jobs(name, B)[1] == B


def test_the_folder_does_not_depend_on_the_job(jobs, monkeypatch, tmp_path):
    """A batch system gives each job a folder for temporary files of its own."""
    (tmp_path / "job").mkdir()
    assert jobs(A, B, TMPDIR=str(tmp_path / "job"))[1] == A
    assert jobs(A, B)[1] == B
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert str(gpu_locks.SHARED) == "/tmp"


def test_another_users_cards_are_left_to_them(jobs, tmp_path):
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    assert jobs(A, shared=theirs)[1] == A
    [folder] = theirs.iterdir()
    folder.rename(tmp_path / f"{gpu_locks.PREFIX}54321")
    assert jobs(A, B)[1] == B
    assert jobs(A, B)[1] in (A, B)  # each has one


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be another user")
def test_two_real_users_share_out_the_cards(tmp_path):
    """Of a folder that is everybody's, as the system's for temporary files is."""
    tmp_path.chmod(0o1777)
    for parent in tmp_path.parents:
        if parent == gpu_locks.SHARED:
            break
        parent.chmod(parent.stat().st_mode | 0o055)
    reading, writing = os.pipe()
    ending, end = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(end)
        os.umask(0o077)
        os.setuid(12345)
        number = gpu_locks.claim([A, B], tmp_path)
        os.write(writing, str(number).encode())
        os.read(ending, 1)
        os._exit(0)
    assert os.read(reading, 1) == b"0"
    assert gpu_locks.claim([A, B], tmp_path) == 1
    os.close(end)
    os.waitpid(child, 0)
    assert gpu_locks.claim([A, B], tmp_path) == 0
    for number in (reading, writing, ending):
        os.close(number)


@pytest.fixture
def shared(tmp_path, monkeypatch):
    """A folder that is everybody's, and no lock held by this process."""
    monkeypatch.setattr(gpu_locks, "_held", [])
    return tmp_path


@pytest.mark.parametrize("trap", ["link", "file", "open to all"])
def test_a_folder_that_somebody_else_may_have_made_is_not_used(shared, trap):
    (shared / "other").mkdir(mode=0o700)
    folder = shared / f"{gpu_locks.PREFIX}{os.getuid()}"
    if trap == "link":
        folder.symlink_to(shared / "other")
    elif trap == "file":
        folder.touch()
    else:
        folder.mkdir()
        folder.chmod(0o777)
    assert gpu_locks.claim([A, B], shared) == os.getpid() % 2
    assert not list((shared / "other").iterdir())
    assert gpu_locks._held == []


def test_a_lock_is_never_taken_through_a_link(shared):
    precious = shared / "precious"
    precious.write_text("kept")
    gpu_locks.claim([A, B], shared)
    gpu_locks._held.clear()
    [folder] = shared.glob(f"{gpu_locks.PREFIX}*")
    [lock] = folder.iterdir()
    lock.unlink()
    lock.symlink_to(precious)
    assert gpu_locks.claim([A, B], shared) == os.getpid() % 2
    assert precious.read_text() == "kept"


def test_where_there_is_no_folder_cards_are_spread(tmp_path):
    assert gpu_locks.claim([A, B], tmp_path / "none") == os.getpid() % 2


def test_names_that_are_no_file_names_do_no_harm(shared):
    assert gpu_locks.claim(["../a/b", "c"], shared) == 0
    assert gpu_locks.claim(["../a/b", "c"], shared) == 1
    assert [path.name for path in shared.iterdir()] == [
        f"{gpu_locks.PREFIX}{os.getuid()}"
    ]


def test_a_card_is_named_by_what_the_driver_calls_it(monkeypatch):
    found = [SimpleNamespace(uuid=name) for name in (A, B)]
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_properties", found.__getitem__)
    assert device._cards() == [A, B]
