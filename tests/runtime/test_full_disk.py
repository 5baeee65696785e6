"""A disk without room, a folder one may not write to: one line, and nothing is lost."""

import os
import resource
import signal
import stat
import subprocess
import sys

import numpy as np
import pytest

from mlrpl.__main__ import main
from mlrpl.data.index import Index
from mlrpl.errors import UserError
from mlrpl.runtime import storage
from mlrpl.runtime.hdf5 import writing
from mlrpl.runtime.storage import atomic_path


@pytest.fixture
def no_room():
    """No file may grow above 64 kB; the system says so as it does of a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**16, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


def write_hdf5(path):
    with writing(path) as file:
        file["a"] = np.random.default_rng(0).random(2**17)


def write_bytes(path):
    with atomic_path(path) as temporary:
        temporary.write_bytes(bytes(2**20))


@pytest.mark.parametrize("write", [write_hdf5, write_bytes])
def test_a_full_disk_is_one_line_and_leaves_what_was_there(tmp_path, no_room, write):
    path = tmp_path / "x/file"
    path.parent.mkdir()
    path.write_text("before")
    with pytest.raises(UserError) as error:
        write(path)
    assert str(error.value) == (
        f"{path}: cannot be written (File too large); free some space there, or choose "
        "a folder on another disk"
    )
    assert path.read_text() == "before"
    assert os.listdir(path.parent) == ["file"]


def test_what_fails_while_reading_is_not_called_unwritable(tmp_path):
    with pytest.raises(FileNotFoundError), atomic_path(tmp_path / "out") as temporary:
        temporary.write_text((tmp_path / "in").read_text())
    assert os.listdir(tmp_path) == []


def test_the_content_is_on_the_disk_before_it_gets_its_name(tmp_path, monkeypatch):
    calls = []
    replace, fsync = os.replace, os.fsync

    def synchronised(number):
        folder = stat.S_ISDIR(os.fstat(number).st_mode)
        calls.append("folder" if folder else "file")
        fsync(number)

    monkeypatch.setattr(os, "fsync", synchronised)
    monkeypatch.setattr(
        os, "replace", lambda *names: (calls.append("name"), replace(*names))
    )
    with atomic_path(tmp_path / "file") as temporary:
        temporary.write_text("x")
    assert calls == ["file", "name", "folder"]


def test_a_disk_that_fills_when_it_is_synchronised(tmp_path, monkeypatch):
    def full(number):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with (
        pytest.raises(UserError, match=r"cannot be written \(No space"),
        atomic_path(tmp_path / "file") as temporary,
    ):
        temporary.write_text("x")
    assert os.listdir(tmp_path) == []


def drop(tmp_path, output) -> list[str]:
    labels = np.ones((3, 2), np.int8)
    Index("d", "train", ("a", "b"), ("1", "2", "3"), labels).save(tmp_path / "i.h5")
    arguments = ["drop", "--index", str(tmp_path / "i.h5"), "--prop", "0.5"]
    return [*arguments, "--seed", "0", "--output", str(output)]


@pytest.mark.parametrize("kind", ["folder", "below a file", "a name too long"])
def test_a_command_names_the_output_that_cannot_be(tmp_path, capsys, kind):
    (tmp_path / "taken").mkdir()
    (tmp_path / "plain").write_text("")
    output = {
        "folder": tmp_path / "taken",
        "below a file": tmp_path / "plain/k.npy",
        "a name too long": tmp_path / ("k" * 300),
    }[kind]
    assert main(drop(tmp_path, output)) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"mlrpl drop: error: {output}: cannot be written (")
    assert said.count("\n") == 1


def test_an_error_of_the_system_that_nobody_expected_is_one_line(
    tmp_path, capsys, monkeypatch
):
    def refuse(*args, **options):
        raise PermissionError(13, "Permission denied", "/data/somewhere")

    monkeypatch.setattr(Index, "load", refuse)
    assert main(drop(tmp_path, tmp_path / "k.npy")) == 1
    assert capsys.readouterr().err == (
        "mlrpl drop: error: /data/somewhere: Permission denied; give yourself the "
        "right to it\n"
    )


def test_memory_that_is_not_there_is_one_line(tmp_path, capsys, monkeypatch):
    def refuse(*args, **options):
        raise MemoryError

    monkeypatch.setattr(Index, "load", refuse)
    assert main(drop(tmp_path, tmp_path / "k.npy")) == 1
    assert capsys.readouterr().err.startswith("mlrpl drop: error: memory: there is not")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no full device here")
def test_a_note_that_cannot_be_printed_costs_nothing(tmp_path, repository):
    program = [sys.executable, "-m", "mlrpl", *drop(tmp_path, tmp_path / "k.npy")]
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            program, cwd=repository / "workflow", stdout=full, stderr=full
        )
    assert done.returncode == 0
    assert np.load(tmp_path / "k.npy").shape == (3, 2)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no full device here")
def test_a_report_that_cannot_be_printed_is_an_error(repository):
    program = [sys.executable, "-m", "mlrpl", "methods"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            program, cwd=repository / "workflow", stdout=full, stderr=subprocess.PIPE
        )
    assert done.returncode == 1
    assert done.stderr == (
        b"mlrpl methods: error: output: cannot be written (No space left on device); "
        b"check the disk\n"
    )


def test_a_file_system_without_synchronisation_will_do(tmp_path, monkeypatch):
    def unknown(number):
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr(os, "fsync", unknown)
    storage.synchronise_folder(tmp_path)
    with atomic_path(tmp_path / "file") as temporary:
        temporary.write_text("x")
    assert (tmp_path / "file").read_text() == "x"
