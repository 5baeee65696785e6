"""Commands carried out by forks of one process."""

import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from mlrpl.runtime import forkclient, forkserver
from mlrpl.runtime.forkclient import KILLED, VARIABLE
from support import tiny

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux alone")

# Starts a server, as Snakemake does, says where it is and waits to be told to end.
PARENT = """\
import os
from mlrpl.runtime import forkserver
forkserver.start()
print(os.environ[forkserver.VARIABLE], flush=True)
input()
"""
FAST = {"joint_dim": 16, "n_ctx": 4, "batch_size": 16, "epochs": 2, "scale": 10}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return tiny.write_files(tmp_path_factory.mktemp("files"))


def environment(package, **more):
    clean = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", VARIABLE)}
    return {**clean, "PYTHONPATH": str(package), **more}


class Served:
    """A server of a package folder, and commands that find it."""

    def __init__(self, package: Path):
        self.package = package
        self.parent = subprocess.Popen(
            [sys.executable, "-c", PARENT],
            env=environment(package),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.socket = Path(self.parent.stdout.readline().strip())
        wait_until(self.listens)

    def listens(self):
        """The socket's file is there a moment before anyone listens."""
        with socket.socket(socket.AF_UNIX) as line:
            return line.connect_ex(str(self.socket)) == 0

    def start(self, *arguments, package=None, folder=None, **more):
        return subprocess.Popen(
            [sys.executable, "-m", "mlrpl", *arguments],
            cwd=folder,
            env=environment(
                package or self.package, **{VARIABLE: str(self.socket)} | more
            ),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *arguments, **more):
        process = self.start(*arguments, **more)
        output, _ = process.communicate(timeout=120)
        return process.returncode, output

    def server(self):
        """The server's process, which alone has this socket in its command line."""
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                words = (folder / "cmdline").read_bytes().split(b"\0")
                parent = int((folder / "stat").read_text().rsplit(")")[-1].split()[1])
            except OSError:
                continue
            if str(self.socket).encode() in words and parent == self.parent.pid:
                return int(folder.name)
        raise AssertionError("no server")

    def forks(self, folder):
        """The forks that work in a folder: those of the commands started there.

        Those of earlier tests may still be about to end.
        """
        pid = self.server()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [int(child) for child in children if works_in(child, folder)]

    def training(self, files, folder):
        """Start a long training; return the command and its fork, both at work."""
        process = self.start(*train(files, folder, epochs=10000), folder=folder)
        said = b""
        while b"epoch 1 of" not in said:
            part = os.read(process.stdout.fileno(), 4096)
            assert part, said
            said += part
        (fork,) = self.forks(folder)
        return process, fork

    def end(self):
        if self.parent.poll() is None:
            self.parent.communicate("\n", timeout=10)


def works_in(pid, folder):
    try:
        return Path(f"/proc/{pid}/cwd").readlink() == folder.resolve()
    except OSError:
        return False  # it has ended


def runs(pid):
    return Path(f"/proc/{pid}").exists()


def wait_until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def served(repository):
    found = Served(repository / "workflow")
    yield found
    found.end()
    wait_until(lambda: not found.socket.parent.exists())


@pytest.fixture
def package(repository, tmp_path):
    """A package of one's own, which a test may edit."""
    ignore = shutil.ignore_patterns("__pycache__", "weights")
    shutil.copytree(repository / "workflow", tmp_path / "workflow", ignore=ignore)
    return tmp_path / "workflow"


@pytest.fixture
def served_by():
    """Return a function that starts a server of a package folder."""
    started = []

    def start(package):
        started.append(Served(package))
        return started[-1]

    yield start
    for found in started:
        found.end()


def append(package, line):
    masks = package / "mlrpl/data/masks.py"
    masks.write_text(f"{masks.read_text()}\n{line}\n")


def train(files, folder, **options):
    setting = ["--dataset", "tiny", "--method", "sarl", "--prop", "0.5", "--seed", "0"]
    options = json.dumps(FAST | options)
    inputs = [*files.arguments(), "--device", "cpu", "--output-dir", str(folder)]
    return ["train", *setting, "--options", options, *inputs]


def drop(files, output, prop="0.5"):
    arguments = ["--index", str(files.train_index), "--prop", prop, "--seed", "1"]
    return ["drop", *arguments, "--output", str(output)]


def test_what_a_server_imports_is_there(repository):
    assert set(forkserver.IMPORTS) == set(forkclient.COMMANDS)
    for names in forkserver.IMPORTS.values():
        for name in names:
            assert importlib.util.find_spec(name) is not None, name
    package = str(repository / "workflow/mlrpl")
    assert forkclient.identity()[2] == package == str(forkserver.PACKAGE)


def test_a_fork_makes_the_same_bytes_as_a_process_of_its_own(served, files, tmp_path):
    for name, commands in (("fork", served), ("own", None)):
        arguments = train(files, tmp_path / name)
        if commands:
            status, output = commands.run(*arguments)
        else:
            done = subprocess.run(
                [sys.executable, "-m", "mlrpl", *arguments],
                env=environment(served.package),
                capture_output=True,
                text=True,
            )
            status, output = done.returncode, done.stderr
        assert status == 0, output
        assert "epoch 2 of 2: " in output
    for file in ("weights.safetensors", "scores.h5", "history.csv"):
        fork, own = ((tmp_path / n / file).read_bytes() for n in ("fork", "own"))
        assert fork == own


def test_it_is_a_fork_that_works(served, files, tmp_path):
    process, fork = served.training(files, tmp_path)
    modules = Path(f"/proc/{process.pid}/maps").read_text()
    assert "libtorch" not in modules
    assert "libtorch" in Path(f"/proc/{fork}/maps").read_text()
    process.kill()
    process.wait()
    wait_until(lambda: not runs(fork), seconds=20)
    assert not list(tmp_path.glob("*.safetensors"))


def test_a_mistake_is_one_line_and_a_status(served, files, tmp_path):
    status, output = served.run(*drop(files, tmp_path / "x.npy", prop="3"))
    assert status == 1
    assert output.count("\n") == 1
    assert output.startswith("mlrpl drop: error: ")
    status, output = served.run("drop", "--nonsense")
    assert status == 2
    assert "usage: mlrpl drop" in output


def test_folder_and_environment_are_the_commands_own(served, files, tmp_path):
    process = subprocess.run(
        [sys.executable, "-m", "mlrpl", *drop(files, "known.npy")],
        cwd=tmp_path,
        env=environment(served.package, **{VARIABLE: str(served.socket)}),
        capture_output=True,
    )
    assert process.returncode == 0
    assert np.load(tmp_path / "known.npy").shape == (60, 3)


def test_the_end_of_a_command_is_not_the_end_of_the_server(served, files, tmp_path):
    # The closed line of a command that is done must not interrupt the fork's own end.
    for _ in range(15):
        running = [served.start(*drop(files, tmp_path / f"{i}.npy")) for i in range(4)]
        assert [process.wait(timeout=60) for process in running] == [0] * 4
    assert served.socket.exists()


def test_sigterm_ends_the_fork_and_leaves_nothing_half_written(served, files, tmp_path):
    process, fork = served.training(files, tmp_path)
    process.terminate()
    assert process.wait(timeout=20) == 143
    wait_until(lambda: not runs(fork), seconds=20)
    assert not list(tmp_path.rglob("*.tmp"))


def test_a_fork_that_is_killed_is_said(served, files, tmp_path):
    process, fork = served.training(files, tmp_path)
    os.kill(fork, signal.SIGKILL)
    output, _ = process.communicate(timeout=20)
    assert process.returncode == KILLED
    assert output.endswith("mlrpl train: error: its process was killed\n")


def test_without_a_server_a_command_does_its_work(served, files, tmp_path):
    nowhere = {VARIABLE: str(tmp_path / "nowhere")}
    status, output = served.run(*drop(files, tmp_path / "x.npy"), **nowhere)
    assert status == 0, output
    assert (tmp_path / "x.npy").exists()


def test_edited_code_is_not_run_from_memory(served_by, package, files, tmp_path):
    found = served_by(package)
    assert found.run(*drop(files, tmp_path / "a.npy"))[0] == 0
    append(package, "print('edited')")
    status, output = found.run(*drop(files, tmp_path / "b.npy"))
    assert status == 0
    assert output.startswith("edited\n")


def test_code_of_another_folder_is_not_run(
    served_by, package, files, tmp_path, repository
):
    append(package, "def scheme(name): raise SystemExit(9)")
    found = served_by(package)
    arguments = drop(files, tmp_path / "a.npy")
    assert found.run(*arguments)[0] == 9
    assert found.run(*arguments, package=repository / "workflow")[0] == 0


def test_a_server_that_cannot_import_refuses(served_by, package, files, tmp_path):
    append(package, "import no_such_module")
    found = served_by(package)
    status, output = found.run(*drop(files, tmp_path / "a.npy"))
    assert status == 1
    assert "No module named 'no_such_module'" in output  # of the command itself
    found.server()


def test_the_server_ends_with_the_one_that_started_it(served_by, package):
    found = served_by(package)
    pid = found.server()
    found.parent.kill()
    wait_until(lambda: not Path(f"/proc/{pid}").exists(), seconds=10)
    assert not found.socket.parent.exists()
