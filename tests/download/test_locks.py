"""Two runs that want one file fetch it once."""

import errno
import fcntl
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from mlrpl.download.files import download
from mlrpl.download.locks import locked
from support.bad_network import DATA, Page
from support.downloads import MLRPL, QUICK, sha256


class Run:
    """A download in a process of its own."""

    def __init__(self, repository, url, output, log):
        self.log = log
        arguments = ["--url", url, "--output", output, "--sha256", sha256(DATA)]
        with log.open("wb") as file:
            self.process = subprocess.Popen(
                map(str, [*MLRPL, *arguments]),
                cwd=repository / "workflow",
                stderr=file,
            )

    def until(self, condition) -> None:
        for _ in range(1500):
            if condition():
                return
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.02)
        raise AssertionError(self.log.read_text())


def size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


WAITS = "another run fetches it; waiting for that one"


@pytest.fixture
def runs(repository, server, tmp_path):
    """Start downloads of one file, and end those that a test leaves."""
    started = []

    def start() -> Run:
        log = tmp_path / f"{len(started)}.log"
        run = Run(repository, server.url("/a"), tmp_path / "data/a", log)
        started.append(run)
        return run

    yield start
    for run in started:
        run.process.kill()
        run.process.wait()


def one_waits(runs, output: Path) -> tuple[Run, Run]:
    """Start a run, and when it has begun a second one, which comes to wait."""
    part = output.with_name(f"{output.name}.part")
    first = runs()
    first.until(lambda: size(part) > 0)
    second = runs()
    second.until(lambda: WAITS in second.log.read_text())
    return first, second


def test_two_runs_at_once_fetch_once(runs, server, tmp_path):
    page = server.pages["/a"] = Page(waits_after=100_000)
    output = tmp_path / "data/a"
    first, second = one_waits(runs, output)
    page.event.set()
    assert first.process.wait(30) == 0
    assert second.process.wait(30) == 0
    assert page.asked == [None]
    assert output.read_bytes() == DATA
    assert list(output.parent.iterdir()) == [output]
    assert second.log.read_text().splitlines() == [f"{output}: {WAITS}"]


def test_a_killed_run_frees_the_one_that_waits(runs, server, tmp_path):
    page = server.pages["/a"] = Page(waits_after=100_000)
    output = tmp_path / "data/a"
    first, second = one_waits(runs, output)
    first.process.send_signal(signal.SIGKILL)
    assert first.process.wait(30) == -signal.SIGKILL
    have = int(page.asked[1][6:-1]) if second.process.wait(30) == 0 else None
    assert page.asked == [None, f"bytes={have}-"]
    assert 0 < have <= 100_000
    assert output.read_bytes() == DATA
    assert list(output.parent.iterdir()) == [output]


@pytest.mark.parametrize("again", [False, True])
def test_the_lock_is_that_of_the_file_of_the_name(again, tmp_path, capsys):
    """One that waited for a file that was then renamed must not hold the old one."""
    path = tmp_path / "a.part"
    held, done = threading.Event(), threading.Event()

    def second():
        with locked(path, "waits"):
            held.set()
            done.wait(30)

    thread = threading.Thread(target=second)
    errors = ""
    with locked(path, "first"):
        thread.start()
        while "waits" not in errors:
            errors += capsys.readouterr().err
            time.sleep(0.01)
        path.rename(tmp_path / "a")
        if again:
            path.touch()
        assert not held.is_set()
    assert held.wait(30)
    with path.open("rb") as file, pytest.raises(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    done.set()
    thread.join()
    assert [file.name for file in tmp_path.iterdir()] == ["a"]


def test_a_folder_without_locks(server, tmp_path, monkeypatch, capsys):
    def no_locks(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    server.pages["/a"] = Page()
    download([server.url("/a")], tmp_path / "a", **QUICK)
    assert (tmp_path / "a").read_bytes() == DATA
    assert (
        "cannot be locked; do not start a second run on it" in capsys.readouterr().err
    )
