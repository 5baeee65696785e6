"""Commands in warm processes: a server that holds the imports, and forks.

A small training takes less time than `import torch`. While Snakemake runs, one server
process keeps what is imported; a command that finds it is carried out by a fork of it,
which shares the imports and nothing else: nothing passes from one command to the next.
A command that finds no server, or one of another Python or of other code, does its work
itself, with the same result.
"""

import contextlib
import gc
import importlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from mlrpl.errors import UserError
from mlrpl.runtime.forkclient import (
    ACCEPTED,
    DECLINED,
    GRACE,
    VARIABLE,
    identity,
    own,
)

# What the server imports for a command that it is asked for.
ENCODER = ("mlrpl.encoder.clip", "mlrpl.text.export", "mlrpl.encoder.features")
DRAWING = ("mlrpl.reporting.figures", "mlrpl.reporting.figure_drawing")
IMPORTS = {
    "context": ("mlrpl.text.context_tokens",),
    "drop": ("mlrpl.data.masks",),
    "encoder": ENCODER,
    "evaluate": ("mlrpl.evaluation.score_files",),
    "examples": ("mlrpl.prediction.examples",),
    "features": ENCODER,
    "figure": DRAWING,
    "localise": ("mlrpl.prediction.localising",),
    "pictures": ("mlrpl.reporting.picture_figures", *DRAWING),
    "table": ("mlrpl.reporting.tables", "mlrpl.reporting.table_formats"),
    "train": ("mlrpl.training.run",),
}

PACKAGE = Path(__file__).resolve().parents[1]
# Seconds between two looks at who started the server, and for a request to arrive.
POLL, PATIENCE = 1.0, 10.0
LARGEST = 2**24  # bytes of a request
LONGEST = 80  # a socket's path has 108 bytes at most

Run = Callable[[list[str]], int]


def start() -> None:
    """Start a server that ends with this process; name it in the environment.

    None where the folder for temporary files has too long a path for a socket, and
    none on macOS, whose own libraries are not made to be forked.
    """
    too_long = len(os.fsencode(tempfile.gettempdir())) > LONGEST
    if sys.platform != "linux" or too_long:
        return
    folder = Path(tempfile.mkdtemp(prefix="mlrpl-"))
    os.environ[VARIABLE] = str(folder / "socket")
    paths = [str(PACKAGE.parent), os.environ.get("PYTHONPATH", "")]
    subprocess.Popen(
        [sys.executable, "-m", "mlrpl", "forkserver", "--socket", folder / "socket"],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, paths)),
            "OPENBLAS_NUM_THREADS": "1",  # a process with threads should not fork
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        # An interrupt from the keyboard is for the commands, which end their forks.
        start_new_session=True,
    )


def forget() -> None:
    """Name no server in the environment: the jobs run on other machines."""
    os.environ.pop(VARIABLE, None)


def serve(path: str | os.PathLike, run: Run) -> None:
    """Answer requests until the process that started this one has ended.

    Args:
        path: where the socket is made; its folder is removed in the end.
        run: carries out a command line, and returns its exit status.

    Raises:
        UserError: where no socket can be made; commands then do their work themselves.
    """
    parent, own = os.getppid(), os.getpid()
    state = _state_of_code()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # no zombies
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it ends with the one that began it
    try:
        with socket.socket(socket.AF_UNIX) as listening:
            try:
                listening.bind(os.fspath(path))
            except OSError as error:
                raise UserError(f"{path}: no socket can be made ({error})") from error
            listening.listen(64)
            listening.settimeout(POLL)
            while os.getppid() == parent:
                try:
                    line, _ = listening.accept()
                except TimeoutError:
                    continue
                streams: list[int] = []
                # A closed line without an answer is a refusal as well, and no request
                # ends the server.
                with line, contextlib.suppress(Exception):
                    request = _receive(line, streams)
                    if request["identity"] == identity() and state == _state_of_code():
                        _import(request["arguments"][0])
                        if os.fork() == 0:
                            _carry_out(line, request, streams, run)
                    else:
                        line.sendall(DECLINED)
                for stream in streams:
                    os.close(stream)
    finally:
        if os.getpid() == own:
            shutil.rmtree(Path(path).parent, ignore_errors=True)


def _import(command: str) -> None:
    for name in IMPORTS[command]:
        importlib.import_module(name)
    gc.freeze()  # forks share these objects' memory as long as nobody visits them


def _receive(line: socket.socket, streams: list[int]) -> dict:
    """Return a request; add the command's stdout and stderr to `streams`."""
    line.settimeout(PATIENCE)
    header, received, _, _ = socket.recv_fds(line, 4, 2)
    streams += received
    size, parts = int.from_bytes(header, "big"), b""
    if not own(line) or size > LARGEST:
        raise ConnectionError("it is no command of ours")
    while len(parts) < size:
        part = line.recv(size - len(parts))
        if not part:
            raise ConnectionError("the request broke off")
        parts += part
    line.settimeout(None)
    return json.loads(parts)


def _state_of_code() -> list[tuple[str, int, int]]:
    """Return what an edit of the package changes."""
    files = [(path, path.stat()) for path in sorted(PACKAGE.rglob("*.py"))]
    return [(str(path), stat.st_mtime_ns, stat.st_size) for path, stat in files]


def _carry_out(
    line: socket.socket, request: dict, streams: list[int], run: Run
) -> None:
    """Be the process of one command, to the end of the process."""
    status = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for number, stream in enumerate(streams, start=1):
            os.dup2(stream, number)
        os.chdir(request["folder"])
        os.environ.clear()
        os.environ.update(request["environment"])
        try:
            line.sendall(ACCEPTED)
        except OSError:  # nobody waited for so long
            os._exit(1)
        threading.Thread(target=_end_with, args=(line,), daemon=True).start()
        status = run(request["arguments"])
    except SystemExit as stop:
        status = stop.code if isinstance(stop.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        # From here on the other end may close: the command is done.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
            line.sendall(bytes([status]))
        os._exit(status)


def _end_with(line: socket.socket) -> None:
    """End this process when the one that asked for it has closed its end."""
    with contextlib.suppress(OSError):
        line.recv(1)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE)
    os._exit(128 + signal.SIGTERM)
