"""profiles/slurm as it is, on a real Slurm; a stand-in does the work."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys

import pytest
import yaml

from support.small_workflow import FILES, SMALL
from support.workflow_tree import PROGRAM, copy_tree

NEEDED = ("slurmctld", "slurmd", "sbatch", "squeue", "unshare")
MISSING = [name for name in NEEDED if shutil.which(name) is None]
if importlib.util.find_spec("snakemake_executor_plugin_slurm") is None:
    MISSING.append("snakemake-executor-plugin-slurm")
if os.getuid() != 0:
    MISSING.append("root")
pytestmark = [
    pytest.mark.slurm,
    pytest.mark.workflow,
    pytest.mark.skipif(bool(MISSING), reason=f"no {', '.join(MISSING)}"),
]

# Notes what Slurm gave the job. The training is told to stop at its first try; in the
# second it sends a job that takes its place, and has Slurm requeue it at once.
NOTING = """\
import json, os, re, subprocess, sys, time
from pathlib import Path
found = {"command": sys.argv[1], "server": os.environ.get("MLRPL_FORKSERVER")}
found["job"] = number = os.environ.get("SLURM_JOB_ID")
if number:
    command = ["scontrol", "--oneliner", "show", "job", number]
    text = subprocess.run(command, capture_output=True, text=True).stdout
    found |= dict(re.findall(r"(TimeLimit|MinMemoryNode|TresPerJob)=(\\S+)", text))
with open("seen", "a") as file:
    print(json.dumps(found), file=file)
if sys.argv[1] == "train":
    folder = Path(sys.argv[sys.argv.index("--output-dir") + 1])
    state = folder / "checkpoint.pt"
    if not state.exists():
        folder.mkdir(parents=True, exist_ok=True)
        state.write_text("stopped")
        sys.exit(143)
    if state.read_text() == "stopped":
        state.write_text("preempted")
        now = f"scontrol update JobId={number} StartTime=now"
        urgent = ["--partition=urgent", "--nodelist=first", "--exclusive"]
        wrap = f"--wrap=until {now}; do sleep 0.2; done"
        subprocess.run(["sbatch", "--output=urgent.log", *urgent, wrap], check=True)
        time.sleep(300)
        sys.exit("not preempted")
    state.unlink()
"""
RUN = "results/runs/mine/coop/prop=0.5/seed=0/metrics.json"


def test_a_training_and_what_it_needs(repository, tmp_path):
    folder = copy_tree(repository, tmp_path / "tree", stand_in=True)
    (folder / "workflow/mlrpl/__main__.py").write_text(NOTING + PROGRAM)
    for name in FILES:
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        (folder / name).write_text(name)
    # Fewer cores than this machine may have; the rest is as it stands.
    small = {**SMALL, "threads": {"features": 1, "train": 1}}
    small["datasets"]["mine"]["splits"]["train"]["shards"] = 1
    (folder / "small.yaml").write_text(yaml.safe_dump(small))
    snakemake = [sys.executable, "-m", "snakemake", RUN, "--configfile", "small.yaml"]
    profile = ["--workflow-profile", "profiles/slurm"]
    # A look that finds no job ended puts the next off by ten seconds: of two looks, the
    # second comes when jobs like these have ended.
    fast = ["--slurm-init-seconds-before-status-checks", "1", "--latency-wait", "20"]
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    environment |= {"MLRPL_FORKSERVER": "/left/over", "SLURM_TEST_CPUS": "8"}
    done = subprocess.run(
        [repository / "tests/support/slurm.sh", *snakemake, *profile, *fast],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
    seen = [json.loads(line) for line in (folder / "seen").read_text().splitlines()]
    by_command = {}
    for job in seen:
        by_command.setdefault(job["command"], []).append(job)
        assert job["server"] is None
    # Beside Snakemake itself, and as jobs of Slurm, each of its own.
    beside = {job["command"] for job in seen if job["job"] is None}
    assert beside == {"drop", "evaluate", "shards"}
    # The training's second job was preempted, and requeued as it was.
    first, second, requeued = by_command["train"]
    assert requeued == second
    numbers = [job["job"] for job in seen if job["job"]]
    assert len(numbers) == len(set(numbers)) + 1
    # Memory and time as the rules ask for them; twice as much for the second try.
    assert [job["MinMemoryNode"] for job in (first, second)] == ["4000M", "8000M"]
    assert [job["TimeLimit"] for job in (first, second)] == ["00:30:00", "01:00:00"]
    assert {job["MinMemoryNode"] for job in by_command["index"]} == {"3000M"}
    # One card each for trainings and features alone.
    for command, jobs in by_command.items():
        cards = {job.get("TresPerJob") == "gres:gpu:1" for job in jobs}
        assert cards == {command in ("train", "features")}, command
    made = {path.name for path in (folder / RUN).parent.iterdir()}
    assert "checkpoint.pt" not in made and "weights.safetensors" in made
