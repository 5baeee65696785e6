"""What keeps jobs from running on other machines, before the first is sent."""

import importlib.util
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# The program by which Snakemake's executor sends a job, where it has one of its own.
SENDERS = {"slurm": "sbatch", "lsf": "bsub", "htcondor": "condor_submit"}
# Those that come with Snakemake, and run jobs on this machine.
LOCAL = ("local", "dryrun", "touch")
# File systems in a machine's own memory.
IN_MEMORY = ("tmpfs", "ramfs", "devtmpfs")


def faults(
    executor: str | None, config: Mapping[str, Any], mounts: Path = Path("/proc/mounts")
) -> list[str]:
    """Return one line for each thing without which no job could run.

    Args:
        executor: Snakemake's name of what runs the jobs; None for this machine.
        config: the checked configuration.
        mounts: where the system lists its file systems.
    """
    if executor is None or executor in LOCAL:
        return []
    found = []
    plugin = f"snakemake-executor-plugin-{executor}"
    if importlib.util.find_spec(plugin.replace("-", "_")) is None:
        found.append(
            f"executor {executor}: {plugin} is not installed beside Snakemake; install "
            "it, or leave the profile out to run on this machine"
        )
    sender = SENDERS.get(executor)
    if sender and shutil.which(sender) is None:
        found.append(
            f"executor {executor}: there is no {sender} here; start Snakemake on a "
            "login node of the cluster, or leave the profile out to run on this machine"
        )
    for key in ("results", "logs", "data_dir"):
        kind = file_system(config[key], mounts)
        if kind in IN_MEMORY:
            found.append(
                f"config key {key}: {config[key]} is in this machine's memory ({kind}) "
                "and no node sees it; choose a folder that the nodes share"
            )
    return found


def unseen(config: Mapping[str, Any]) -> str | None:
    """Return the one line of a node that does not see the results; None if it does."""
    if Path(config["results"]).is_dir():
        return None
    return (
        f"config key results: {config['results']} is not there on {os.uname().nodename}"
        f", in {os.getcwd()}; choose a folder that the nodes share"
    )


def file_system(folder: str, mounts: Path = Path("/proc/mounts")) -> str | None:
    """Return the type of the file system of a folder, which need not exist yet.

    None where the system does not say.
    """
    path = Path(os.path.realpath(folder))
    best: tuple[int, str] | None = None
    try:
        lines = mounts.read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        parts = line.split()
        if len(parts) < 3:
            continue
        # Spaces and the like are octal there.
        place = Path(parts[1].encode().decode("unicode_escape"))
        # Of two at one place the later one lies above.
        if path.is_relative_to(place) and (best is None or len(place.parts) >= best[0]):
            best = (len(place.parts), parts[2])
    return best[1] if best else None
