"""Snakemake in forks of one process that has imported it.

Half of what a dry run takes is the import of Snakemake and of its plugins. A fork has
them; the folder, the environment, the arguments and all that the workflow imports from
its own tree are its own, and nothing passes from one run to the next.
"""

import atexit
import importlib
import json
import os
import runpy
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

# Seconds after which a run that hangs is ended.
LONGEST = 1800
# What a run imports once it is under way.
LATER = ("pandas", "smart_open", "jsonschema", "snakemake.storage")

_server: subprocess.Popen[str] | None = None


def run(
    folder: Path, arguments: Sequence[str], environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run Snakemake in a folder; return its status with both outputs as one text."""
    with tempfile.NamedTemporaryFile() as output:
        request = {
            "folder": str(folder),
            "arguments": list(arguments),
            "environment": dict(environment),
            "output": output.name,
        }
        server = _started()
        assert server.stdin and server.stdout
        print(json.dumps(request), file=server.stdin, flush=True)
        status = int(server.stdout.readline())
        said = Path(output.name).read_text()
    return subprocess.CompletedProcess(list(arguments), status, said)


def _started() -> subprocess.Popen[str]:
    global _server
    if _server is None or _server.poll() is not None:
        _server = subprocess.Popen(
            [sys.executable, __file__],
            # As in `mlrpl forkserver`: a process with threads should not fork.
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        atexit.register(_server.communicate)
    return _server


def _serve() -> None:
    """Answer each line of stdin, a request, with a line: the status of its run."""
    import gc

    import snakemake.cli

    for name in LATER:
        importlib.import_module(name)
    snakemake.cli.get_argument_parser()  # registers the plugins
    gc.freeze()
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            _be_snakemake(**json.loads(line))
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _be_snakemake(
    folder: str, arguments: list[str], environment: dict[str, str], output: str
) -> None:
    """Do as `python -m snakemake` does; ends this process as it does."""
    import snakemake.cli

    signal.alarm(LONGEST)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for name, flags, numbers in (
        (os.devnull, os.O_RDONLY, (0,)),
        (output, os.O_WRONLY | os.O_APPEND, (1, 2)),
    ):
        opened = os.open(name, flags)
        for number in numbers:
            os.dup2(opened, number)
        os.close(opened)
    sys.path[0] = folder
    for path in filter(None, environment.get("PYTHONPATH", "").split(os.pathsep)):
        sys.path.insert(1, path)
        own = Path(path, "sitecustomize.py")  # a start of Python runs it
        if own.exists():
            runpy.run_path(str(own))
    sys.argv = [str(Path(snakemake.__file__).with_name("__main__.py")), *arguments]
    snakemake.cli.main()
    sys.exit()


if __name__ == "__main__":
    _serve()
