"""Leave a command to a fork server (`mlrpl.runtime.forkserver`), if one runs.

Imported by every command, and therefore small.
"""

import contextlib
import json
import os
import socket
import struct
import sys
from collections.abc import Sequence

# Commands whose start counts.
COMMANDS = (
    *("context", "drop", "encoder", "evaluate", "examples", "features", "figure"),
    *("localise", "pictures", "table", "train"),
)

VARIABLE = "MLRPL_FORKSERVER"  # the socket's path, in the environment of commands
# What batch systems call the job that a process belongs to.
BATCH_JOBS = ("SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID", "JOB_ID")
ACCEPTED, DECLINED = b"+", b"-"
PATIENCE = 120.0  # seconds until the server has imported torch and forked
# Seconds to clean up, and to save a training, for a command that nobody waits for.
GRACE = 20.0
KILLED = 137  # the status of a command whose process was killed


def identity() -> list[str]:
    """Return what the server and the command must have in common.

    Besides the code: the machine and the job of a batch system, whose limits of memory
    and devices would not hold for a fork outside of it.
    """
    python = os.path.realpath(sys.executable)
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    jobs = [os.environ.get(name, "") for name in BATCH_JOBS]
    return [python, sys.prefix, package, socket.gethostname(), *jobs]


def ask(arguments: Sequence[str]) -> int | None:
    """Let the server carry out a command; return its exit status.

    None if there is no server, or it declined: the caller does the work itself.
    """
    path = os.environ.get(VARIABLE)
    if path is None or not arguments or arguments[0] not in COMMANDS:
        return None
    request = {
        "identity": identity(),
        "arguments": list(arguments),
        "folder": os.getcwd(),
        "environment": dict(os.environ),
    }
    message = json.dumps(request).encode()
    with socket.socket(socket.AF_UNIX) as server:
        server.settimeout(PATIENCE)
        try:
            server.connect(path)
            if not own(server):
                return None
            socket.send_fds(server, [len(message).to_bytes(4, "big")], [1, 2])
            server.sendall(message)
            if server.recv(1) != ACCEPTED:
                return None
        except OSError:
            return None
        server.settimeout(None)
        try:
            status = server.recv(1)
        except OSError:  # it ended without a word
            status = b""
        except BaseException:
            # Interrupted: tell the fork by the closed line, and let it clean up.
            with contextlib.suppress(OSError):
                server.shutdown(socket.SHUT_WR)
                server.settimeout(GRACE + 1)
                server.recv(1)
            raise
    if not status:
        print(f"mlrpl {arguments[0]}: error: its process was killed", file=sys.stderr)
        return KILLED
    return status[0]


def own(line: socket.socket) -> bool:
    """Return whether the process at the other end is of the same user.

    The command's environment and what it prints go there, and nobody else gets them.
    """
    size = struct.calcsize("3i")
    peer = line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    return struct.unpack("3i", peer)[1] == os.getuid()
