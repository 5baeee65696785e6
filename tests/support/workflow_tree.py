"""A copy of the workflow in which a stand-in does the jobs' work in no time.

What Snakemake plans, runs and runs again is the real thing; `python -m mlrpl` alone is
replaced, by a program that writes its command line into the files it was asked for.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

from support import warm_snakemake

TREE = ("Snakefile", "config.yaml", "workflow", "profiles", "envs")

# Writes every output of its command; their content depends on the command line alone.
PROGRAM = """\
import hashlib, sys
from pathlib import Path

words = sys.argv[1:]
if words[0] == "forkserver":
    sys.exit()
flags = {}
for word in words:
    if word.startswith("--"):
        flags[name := word] = []
    elif flags:
        flags[name].append(word)
SUFFIXES = dict.fromkeys(["table", "localisation"], (".csv", ".md", ".tex", ".html"))
SUFFIXES |= dict.fromkeys(["figure", "curves", "pictures"], (".pdf", ".png"))
SUFFIXES |= {"cost": (".csv", ".md")}
SUFFIXES |= {"compare": (".csv", ".md", ".json", "_classes.csv")}
RUN = ("weights.safetensors", "history.csv", "scores.h5", "run.json")
if words[0] == "train":
    outputs = [f"{flags['--output-dir'][0]}/{name}" for name in RUN]
else:
    output = flags["--output"][0]
    outputs = [output + suffix for suffix in SUFFIXES.get(words[0], [""])]
    outputs += flags.get("--per-class", [])
for output in outputs:
    Path(output).parent.mkdir(parents=True, exist_ok=True)
    Path(output).write_text(" ".join(words))
"""

# No process of the test may reach a network.
OFFLINE = """\
import socket

def refuse(*args, **kwargs):
    raise OSError("the test allows no network")

socket.socket.connect = socket.getaddrinfo = socket.create_connection = refuse
"""


def copy_tree(repository: Path, target: Path, stand_in: bool = False) -> Path:
    """Copy what the workflow consists of to a new folder; return the folder."""
    target.mkdir(parents=True)
    for name in TREE:
        source = repository / name
        if source.is_dir():
            ignore = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, target / name, ignore=ignore)
        else:
            shutil.copy(source, target / name)
    if stand_in:
        (target / "workflow/mlrpl/__main__.py").write_text(PROGRAM)
    return target


def snakemake(
    folder: Path, *arguments: str, offline: bool = False
) -> subprocess.CompletedProcess[str]:
    """Run Snakemake in a folder; return its status with both outputs as one text."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("SNAKEMAKE")}
    environment.pop("PYTHONPATH", None)
    if offline:
        blocker = folder / "offline"
        blocker.mkdir(exist_ok=True)
        (blocker / "sitecustomize.py").write_text(OFFLINE)
        environment["PYTHONPATH"] = str(blocker)
    return warm_snakemake.run(folder, arguments, environment)


def job_counts(output: str) -> dict[str, int]:
    """Return the jobs of each rule that a dry run announces, without the total."""
    table = re.search(r"^job +count\n-[- ]+\n((?:\S+ +\d+\n)+)", output, re.MULTILINE)
    if table is None:
        assert "Nothing to be done" in output, output
        return {}
    lines = (line.split() for line in table.group(1).splitlines())
    return {rule: int(count) for rule, count in lines if rule != "total"}


def jobs(output: str, rule: str) -> list[dict[str, str]]:
    """Return what a dry run says of each job of a rule: input, output, and so on."""
    found = re.findall(rf"^(?:local)?rule {rule}:\n((?:    \S.*\n)+)", output, re.M)
    return [
        dict(line.strip().split(": ", 1) for line in block.splitlines())
        for block in found
    ]


def methods_trained(output: str) -> set[str]:
    """Return the methods that a dry run would train."""
    return {
        re.search(r"method=([^,]+)", job["wildcards"]).group(1)
        for job in jobs(output, "train")
    }
