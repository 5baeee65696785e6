"""Who may stand behind a socket and a lock file."""

import contextlib
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

import pytest

from mlrpl.__main__ import main
from mlrpl.runtime import forkclient, forkserver
from mlrpl.runtime.forkclient import ACCEPTED, KILLED, VARIABLE

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux alone")
COMMAND = ["drop", "--index", "i.h5"]


@pytest.fixture
def listening(tmp_path, monkeypatch):
    """A socket that commands find; what it does with them a test says."""
    path = tmp_path / "socket"
    monkeypatch.setenv(VARIABLE, str(path))
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        yield server


def request(line: socket.socket) -> bytes:
    """Return the whole of what a command asks for; nothing if it asks for nothing.

    A server that answers and ends before it has read all of it would break the
    command's line, which is another case.
    """
    with line.makefile("rb") as stream:
        try:
            return stream.read(int.from_bytes(stream.read(4), "big"))
        except OSError:
            return b""


def answering(server, *answers):
    """Accept one command, send answers, and end; return what it sent."""
    received = []

    def answer():
        line, _ = server.accept()
        with line:
            line.settimeout(0.5)
            received.append(request(line))
            for text in answers:
                with contextlib.suppress(BrokenPipeError):
                    line.sendall(text)

    thread = threading.Thread(target=answer)
    thread.start()
    return received, thread


def test_a_server_of_another_user_is_told_nothing(listening, monkeypatch):
    received, thread = answering(listening, ACCEPTED, b"\0")
    ours = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: ours + 1)
    assert forkclient.ask(COMMAND) is None
    thread.join()
    assert received == [b""]


def test_a_server_that_does_not_answer_is_not_waited_for(listening, monkeypatch):
    monkeypatch.setattr(forkclient, "PATIENCE", 0.1)
    assert forkclient.ask(COMMAND) is None


def test_a_server_that_ends_after_it_accepted_is_one_line(listening, capsys):
    received, thread = answering(listening, ACCEPTED)
    assert forkclient.ask(COMMAND) == KILLED
    thread.join()
    assert received[0]
    assert capsys.readouterr().err == "mlrpl drop: error: its process was killed\n"


@pytest.fixture
def served(repository, tmp_path):
    """A server, and its process."""
    path = tmp_path / "own/socket"
    path.parent.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "mlrpl", "forkserver", "--socket", str(path)],
        env={**os.environ, "PYTHONPATH": str(repository / "workflow")},
    )
    end = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < end
        time.sleep(0.02)
    yield path, process
    process.kill()
    process.wait()


def ask(path, message: bytes, size: int | None = None) -> bytes:
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(30)
        line.connect(str(path))
        size = len(message) if size is None else size
        socket.send_fds(line, [struct.pack(">I", size)], [1, 2])
        # A server that refuses by the header alone may have closed the line by now.
        with contextlib.suppress(OSError):
            line.sendall(message)
            line.shutdown(socket.SHUT_WR)
        try:
            return line.recv(1)
        except ConnectionResetError:
            return b""


def test_no_request_ends_the_server(served):
    path, process = served
    ours = {"identity": forkclient.identity(), "folder": "/", "environment": {}}
    for content in (
        *(None, 3, [], "x", {}, {"identity": None}),
        *({**ours}, {**ours, "arguments": None}, {**ours, "arguments": []}),
        *({**ours, "arguments": [3]}, {**ours, "arguments": ["nonsense"]}),
        {**ours, "arguments": {"0": "drop"}},
    ):
        assert ask(path, json.dumps(content).encode()) in (b"", forkclient.DECLINED)
    assert ask(path, b"{") == b""
    assert ask(path, b"[" * 100_000) == b""
    assert ask(path, b"", size=2**32 - 1) == b""
    assert process.poll() is None
    assert ask(path, b'{"identity": 1}') == forkclient.DECLINED


def test_the_servers_folder_is_the_users_alone(monkeypatch, tmp_path):
    started = []
    monkeypatch.setattr(forkserver.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(
        forkserver.subprocess, "Popen", lambda *a, **o: started.append((a, o))
    )
    monkeypatch.setenv(VARIABLE, "")
    forkserver.start()
    [folder] = tmp_path.iterdir()
    assert folder.stat().st_mode & 0o777 == 0o700
    assert os.environ[VARIABLE] == str(folder / "socket")
    assert started[0][1]["start_new_session"]


def test_an_interrupt_before_the_work_is_one_line(capsys, monkeypatch):
    def interrupted(arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(forkclient, "ask", interrupted)
    monkeypatch.setattr(sys, "argv", ["mlrpl", "train", "--seed", "0"])
    before = signal.getsignal(signal.SIGTERM)
    assert main() == 130
    signal.signal(signal.SIGTERM, before)
    assert capsys.readouterr().err == "mlrpl train: interrupted\n"
