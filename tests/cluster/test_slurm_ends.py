"""How jobs end on a real Slurm: at a limit of time or memory, cancelled; and GPUs.

Jobs are sent by `sbatch`, without Snakemake, all beside one another in one Slurm.
"""

import itertools
import json
import os
import shlex
import shutil
import subprocess
import sys

import pytest

from support import tiny
from support.trainings import arguments, run

NEEDED = ("slurmctld", "slurmd", "sbatch", "scancel", "scontrol", "unshare")
MISSING = [name for name in NEEDED if shutil.which(name) is None]
if os.getuid() != 0:
    MISSING.append("root")
pytestmark = [
    pytest.mark.slurm,
    pytest.mark.skipif(bool(MISSING), reason=f"no {', '.join(MISSING)}"),
]

OPTIONS = {"epochs": 8, "eval_every": 2}
# `mlrpl` that at its first try waits in epoch 4, as a long training would, for its end.
WAITING = """\
import sys, time
from pathlib import Path
from mlrpl.training import checkpoints, loop
checkpoints.COPY_INTERVAL = checkpoints.SHARE = 0
rates = loop.rates
waited = Path(sys.argv.pop(1))
def slow(options, epoch, steps):
    if epoch == 3 and not waited.exists():
        waited.write_text("")
        time.sleep(600)
    return rates(options, epoch, steps)
loop.rates = slow
from mlrpl.__main__ import main
sys.exit(main())
"""
# More than 300 MB, for as long as Slurm takes to look at it twice.
LARGE = "import time; x = bytearray(300_000_000); x[::4096] = x[1::4096]; time.sleep(8)"
CARD = (
    "import os, time; a = time.time(); time.sleep(2);"
    " print(os.environ['CUDA_VISIBLE_DEVICES'], a, time.time())"
)
# Sends the jobs, and notes how each ended.
SENDING = """\
import json, re, subprocess, sys, time
from pathlib import Path
jobs = json.loads(Path("jobs.json").read_text())
def send(name, tag=""):
    words = ["sbatch", "--parsable", f"--output={name}{tag}.log", *jobs[name]]
    return subprocess.check_output(words, text=True).strip()
def state(number):
    command = ["scontrol", "--oneliner", "show", "job", number]
    text = subprocess.run(command, capture_output=True, text=True).stdout
    return re.search(r"JobState=(\\S+)", text).group(1)
def ended(number):
    while (found := state(number)) in ("PENDING", "RUNNING", "COMPLETING"):
        time.sleep(0.5)
    return found
limit, cancel = send("limit"), send("cancel")
while not Path("cancel.waits").exists() and state(cancel) in ("PENDING", "RUNNING"):
    time.sleep(0.2)
subprocess.run(["scancel", "--batch", "--signal=TERM", cancel], check=True)
states = {"cancel": ended(cancel)}
again = send("cancel", "2")
cards = [f"card{n}" for n in range(5)]
rest = {name: send(name) for name in ("small", "large", *cards)}
states |= {name: ended(number) for name, number in rest.items()}
states |= {"cancel2": ended(again), "limit": ended(limit)}
states["limit2"] = ended(send("limit", "2"))
Path("states.json").write_text(json.dumps(states))
"""


@pytest.fixture(scope="module")
def folder(repository, tmp_path_factory):
    """Where the jobs ran, beside `whole`, a training that nobody stopped."""
    folder = tmp_path_factory.mktemp("slurm")
    files = tiny.write_files(folder / "files")
    assert run(files, folder / "whole", **OPTIONS) == 0
    (folder / "waiting.py").write_text(WAITING)
    (folder / "sending.py").write_text(SENDING)

    def wrapped(*words):
        return f"--wrap=exec {shlex.join([sys.executable, *map(str, words)])}"

    def training(name):
        words = arguments(files, folder / name, **OPTIONS)
        return wrapped(folder / "waiting.py", f"{name}.waits", *words)

    cards = {f"card{n}": ["--gpus=1", wrapped("-c", CARD)] for n in range(5)}
    jobs = {
        "limit": ["--mem=4000", "--time=1", training("limit")],
        "cancel": ["--mem=4000", "--time=30", training("cancel")],
        "small": ["--mem=100", "--time=5", wrapped("-c", LARGE)],
        "large": ["--mem=600", "--time=5", wrapped("-c", LARGE)],
        **cards,
    }
    (folder / "jobs.json").write_text(json.dumps(jobs))
    environment = {**os.environ, "PYTHONPATH": str(repository / "workflow")}
    done = subprocess.run(
        [repository / "tests/support/slurm.sh", sys.executable, "sending.py"],
        cwd=folder,
        env={**environment, "SLURM_TEST_CPUS": "8"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    return folder


@pytest.fixture(scope="module")
def states(folder):
    return json.loads((folder / "states.json").read_text())


@pytest.mark.parametrize("name", ["limit", "cancel"])
def test_a_training_that_slurm_stops_goes_on_to_the_same_bytes(folder, states, name):
    said = (folder / f"{name}.log").read_text()
    assert states[name] == {"limit": "TIMEOUT", "cancel": "FAILED"}[name], said
    assert "checkpoint.pt: saved; the same command goes on from" in said
    assert states[f"{name}2"] == "COMPLETED", (folder / f"{name}2.log").read_text()
    for file in ("scores.h5", "weights.safetensors", "history.csv"):
        there = (folder / name / file).read_bytes()
        assert there == (folder / "whole" / file).read_bytes(), file


def test_a_job_over_its_memory_is_ended_and_one_that_asks_for_it_is_not(states):
    assert states["small"] in ("OUT_OF_MEMORY", "CANCELLED", "FAILED")
    assert states["large"] == "COMPLETED"


def test_no_two_jobs_have_one_card_at_a_time(folder, states):
    used = []
    for number in range(5):
        assert states[f"card{number}"] == "COMPLETED"
        card, start, end = (folder / f"card{number}.log").read_text().split()
        used.append((card, float(start), float(end)))
    assert {card for card, *_ in used} == {"0", "1"}
    for card in ("0", "1"):
        times = sorted(
            (start, end) for used_card, start, end in used if used_card == card
        )
        for (_, end), (start, _) in itertools.pairwise(times):
            assert end <= start, times
