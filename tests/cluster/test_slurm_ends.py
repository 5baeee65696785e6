"""How jobs end on a real Slurm: over a limit, cancelled, preempted, lost; and GPUs.

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
# It says who it is. Each state is saved, or if so told kept in memory.
WAITING = """\
import functools, os, sys, time
from pathlib import Path
from mlrpl.training import checkpoints, loop, run
checkpoints.COPY_INTERVAL = checkpoints.SHARE = 0
waited, kept = Path(sys.argv.pop(1)), sys.argv.pop(1) == "kept"
if not kept:
    run.Checkpoint = functools.partial(checkpoints.Checkpoint, interval=0)
rates = loop.rates
def slow(options, epoch, steps):
    if epoch == 3 and not waited.exists():
        said = waited.with_suffix(".new")
        said.write_text(f"{os.getpid()} {os.getppid()}")
        said.rename(waited)
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
# Sends the jobs, all beside one another, and notes how each ended.
SENDING = """\
import json, os, re, signal, subprocess, time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
jobs = json.loads(Path("jobs.json").read_text())
def send(name, tag=""):
    words = ["sbatch", "--parsable", f"--output={name}{tag}.log", *jobs[name]]
    return subprocess.check_output(words, text=True).strip()
def control(*words):
    return subprocess.check_output(["scontrol", *words], text=True)
def seen(number):
    text = control("--oneliner", "show", "job", number)
    return dict(re.findall(r"(JobState|Restarts|BatchHost)=(\\S+)", text))
def ended(number):
    on = ("PENDING", "RUNNING", "COMPLETING")
    while (found := seen(number))["JobState"] in on:
        time.sleep(0.5)
    return found
def waiting(name):
    number = send(name)
    while not (path := Path(f"{name}.waits")).exists():
        assert seen(number)["JobState"] in ("PENDING", "RUNNING"), name
        time.sleep(0.2)
    return number, [int(word) for word in path.read_text().split()]
def requeued(number):
    while (found := seen(number))["Restarts"] == "0" or found["JobState"] != "PENDING":
        time.sleep(0.2)
    control("update", f"JobId={number}", "StartTime=now")  # else in two minutes
    return ended(number)
def simple(name):
    return {name: ended(send(name))}
def limit(name):
    number, _ = waiting(name)
    control("update", f"JobId={number}", "EndTime=now")
    return {name: ended(number), "limit2": ended(send(name, "2"))}
def cancel(name):
    number, _ = waiting(name)
    subprocess.run(["scancel", "--batch", "--signal=TERM", number], check=True)
    return {name: ended(number), "cancel2": ended(send(name, "2"))}
def preempted(name):
    number, _ = waiting(name)
    return simple("urgent") | {name: requeued(number)}
def lost(name):
    number, (training, step) = waiting(name)
    before = seen(number)
    node = Path(os.environ["SLURM_TEST_FOLDER"], before["BatchHost"] + ".pid")
    for process in (int(node.read_text()), step, training):
        os.kill(process, signal.SIGKILL)
    control("update", "NodeName=" + before["BatchHost"], "State=DOWN", "Reason=lost")
    return {"before": before, name: requeued(number)}
others = ("small", "large", *(f"card{n}" for n in range(5)))
stories = [(globals()[n], n) for n in ("limit", "cancel", "preempted", "lost")]
stories += [(simple, name) for name in others]
with ThreadPoolExecutor(len(stories)) as pool:
    found = {}
    for part in [pool.submit(*story) for story in stories]:
        found |= part.result()
Path("states.json").write_text(json.dumps(found))
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

    def training(name, kept="kept"):
        words = arguments(files, folder / name, **OPTIONS)
        return wrapped(folder / "waiting.py", f"{name}.waits", kept, *words)

    requeued = ["--mem=2000", "--partition=low", "--requeue", "--open-mode=append"]
    cards = {f"card{n}": ["--gpus=1", wrapped("-c", CARD)] for n in range(5)}
    jobs = {
        "limit": ["--mem=2000", "--time=1", training("limit")],
        "cancel": ["--mem=2000", "--time=30", training("cancel")],
        "preempted": [*requeued, "--nodelist=second", training("preempted")],
        "urgent": ["--partition=urgent", "--nodelist=second", "--wrap=sleep 1"],
        "lost": [*requeued, training("lost", "saved")],
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


@pytest.mark.parametrize("name", ["limit", "cancel", "preempted", "lost"])
def test_a_training_that_slurm_stops_goes_on_to_the_same_bytes(folder, states, name):
    said = (folder / f"{name}.log").read_text()
    again, log = states[name], said
    if name in ("limit", "cancel"):
        assert again["JobState"] == {"limit": "TIMEOUT", "cancel": "FAILED"}[name], said
        again, log = states[f"{name}2"], (folder / f"{name}2.log").read_text()
    else:
        assert again["Restarts"] == "1", said
    saved = "checkpoint.pt: saved; the same command goes on from" in said
    assert saved == (name != "lost"), said
    assert again["JobState"] == "COMPLETED" and "going on after epoch 3\n" in log, log
    for file in ("scores.h5", "weights.safetensors", "history.csv"):
        there = (folder / name / file).read_bytes()
        assert there == (folder / "whole" / file).read_bytes(), file


def test_what_is_urgent_takes_the_place_and_what_a_node_lost_runs_on_another(states):
    assert states["urgent"]["JobState"] == "COMPLETED"
    assert states["urgent"]["BatchHost"] == states["preempted"]["BatchHost"]
    assert states["before"]["BatchHost"] == "third"
    assert states["lost"]["BatchHost"] in ("first", "second")


def test_a_job_over_its_memory_is_ended_and_one_that_asks_for_it_is_not(states):
    assert states["small"]["JobState"] in ("OUT_OF_MEMORY", "CANCELLED", "FAILED")
    assert states["large"]["JobState"] == "COMPLETED"


def test_no_two_jobs_have_one_card_at_a_time(folder, states):
    used = []
    for number in range(5):
        assert states[f"card{number}"]["JobState"] == "COMPLETED"
        card, start, end = (folder / f"card{number}.log").read_text().split()
        used.append((card, float(start), float(end)))
    assert {card for card, *_ in used} == {"0", "1"}
    for card in ("0", "1"):
        times = sorted(
            (start, end) for used_card, start, end in used if used_card == card
        )
        for (_, end), (start, _) in itertools.pairwise(times):
            assert end <= start, times
