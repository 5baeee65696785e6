"""Atomic files: whole or absent, whatever ends the writer."""

import os
import signal
import subprocess
import sys
import time

import pytest

from mlrpl.runtime.storage import atomic_path


def test_a_failure_leaves_what_was_there(tmp_path):
    path = tmp_path / "new/file.txt"
    with atomic_path(path) as temporary:
        temporary.write_text("first")
    with pytest.raises(KeyError), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise KeyError
    assert path.read_text() == "first"
    assert list(path.parent.iterdir()) == [path]


def test_the_next_writer_removes_what_a_killed_one_left(tmp_path):
    program = f"""
import os, signal, sys
sys.path = {sys.path}
from mlrpl.runtime.storage import atomic_path
with atomic_path({str(tmp_path / "file")!r}) as temporary:
    temporary.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    killed = subprocess.run([sys.executable, "-c", program])
    assert killed.returncode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    assert left.read_text() == "half"
    # Another file's, a running writer's, and one that only looks alike stay.
    start = left.name.rsplit(".", 2)[0]
    others = {f"{start}.{os.getppid()}.tmp", ".file.x.tmp", f".other{left.name[5:]}"}
    for name in others:
        (tmp_path / name).touch()
    with atomic_path(tmp_path / "file") as temporary:
        temporary.write_text("whole")
        assert not left.exists()
    assert {path.name for path in tmp_path.iterdir()} == {"file", *others}


@pytest.mark.parametrize("kind", ["dead", "writing", "young", "of another file"])
def test_what_a_dead_writer_of_another_host_left_is_removed(tmp_path, kind):
    """It was killed on one node, and the same file is then made on another one."""
    name = "other" if kind == "of another file" else "0.h5"
    left = tmp_path / f".{name}.node-7.example.org.4711.tmp"
    left.write_bytes(bytes(1000))
    age = time.time() - (5 if kind == "young" else 3600)
    os.utime(left, (age, age))
    with atomic_path(tmp_path / "0.h5") as temporary:
        temporary.write_bytes(b"made here")
        assert left.exists()
        if kind == "writing":
            with left.open("ab") as file:
                file.write(b"more")
            os.utime(left, (age + 1, age + 1))
    assert (tmp_path / "0.h5").read_bytes() == b"made here"
    assert left.exists() == (kind != "dead")


def test_what_another_host_left_stays_until_the_file_is_made(tmp_path):
    left = tmp_path / ".0.h5.node-7.4711.tmp"
    left.write_bytes(b"half")
    os.utime(left, (0, 0))
    with pytest.raises(KeyError), atomic_path(tmp_path / "0.h5") as temporary:
        temporary.write_bytes(b"half")
        raise KeyError
    assert [path.name for path in tmp_path.iterdir()] == [left.name]
