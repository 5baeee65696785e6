"""Atomic files: whole or absent, whatever ends the writer."""

import os
import signal
import subprocess
import sys

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
