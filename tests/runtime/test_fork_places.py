"""A fork server serves commands of its own machine and batch job alone."""

import importlib.util
import os
import socket

import pytest

from mlrpl.runtime import forkclient, forkserver
from mlrpl.runtime.forkclient import VARIABLE
from support.small_workflow import Finished


@pytest.mark.parametrize("variable", forkclient.BATCH_JOBS)
def test_a_job_of_a_batch_system_is_not_served_from_outside(monkeypatch, variable):
    """Its memory, time and GPUs are the job's, and a fork would take others."""
    monkeypatch.delenv(variable, raising=False)
    server = forkclient.identity()
    monkeypatch.setenv(variable, "17")
    job = forkclient.identity()
    assert job != server and job == forkclient.identity()
    monkeypatch.setenv(variable, "18")
    assert forkclient.identity() not in (job, server)


def test_another_machine_is_not_served(monkeypatch):
    """Its socket would be seen in a shared folder for temporary files."""
    server = forkclient.identity()
    monkeypatch.setattr(socket, "gethostname", lambda: "node2")
    assert forkclient.identity() != server


def test_a_server_is_forgotten(monkeypatch):
    monkeypatch.setenv(VARIABLE, "/tmp/socket")
    forkserver.forget()
    forkserver.forget()
    assert VARIABLE not in os.environ


SUBMIT = """\
#!/bin/sh
env | grep ^{variable} >> {folder}/seen
echo job >> {folder}/jobs
sh "$1" > /dev/null 2>&1 &
echo $!
"""


@pytest.mark.workflow
@pytest.mark.skipif(
    importlib.util.find_spec("snakemake_executor_plugin_cluster_generic") is None,
    reason="snakemake-executor-plugin-cluster-generic is not installed",
)
def test_submitted_jobs_know_no_server(repository, tmp_path, monkeypatch):
    small = Finished(repository, tmp_path / "tree", run=False)
    submit = tmp_path / "submit"
    submit.write_text(SUBMIT.format(variable=VARIABLE, folder=tmp_path))
    submit.chmod(0o755)
    monkeypatch.setenv(VARIABLE, "/left/over/from/a/local/run")
    executor = ("--executor", "cluster-generic", "--jobs", "2", "--latency-wait", "20")
    executor += ("--cluster-generic-submit-cmd", str(submit))
    small.run("results/data/mine/known/prop=0.5/seed=0.npy", *executor)
    # The index; what is dropped of it is left out beside Snakemake itself.
    assert (tmp_path / "jobs").read_text() == "job\n"
    assert not (tmp_path / "seen").read_text()
