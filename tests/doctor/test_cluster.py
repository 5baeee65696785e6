"""What keeps jobs from running on other machines, each in one line."""

import os
import shutil

import pytest

from mlrpl.__main__ import main
from mlrpl.doctor import cluster
from support.doctor import load

MOUNTS = r"""
/dev/sda1 / ext4 rw 0 0
tmpfs /dev/shm tmpfs rw 0 0
server:/home /home nfs4 rw 0 0
ramfs /home/a\040b ramfs rw 0 0
tmpfs /scratch tmpfs rw 0 0
/dev/sdb1 /scratch xfs rw 0 0
"""


@pytest.fixture
def mounts(tmp_path):
    path = tmp_path / "mounts"
    path.write_text(MOUNTS)
    return path


@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        ("/results", "ext4"),
        ("/dev/shm", "tmpfs"),
        ("/dev/shm/not/there/yet", "tmpfs"),
        ("/dev/shmall", "ext4"),
        ("/home/me", "nfs4"),
        ("/home/a b/me", "ramfs"),
        ("/scratch/me", "xfs"),  # what was mounted above
    ],
)
def test_the_file_system_of_a_folder(mounts, folder, expected):
    assert cluster.file_system(folder, mounts) == expected


def test_where_the_system_does_not_say_nothing_is_wrong(tmp_path):
    assert cluster.file_system("/results", tmp_path / "none") is None


@pytest.fixture
def installed(monkeypatch):
    """Everything is installed, unless a test says otherwise."""
    monkeypatch.setattr(cluster.importlib.util, "find_spec", lambda name: name)
    monkeypatch.setattr(cluster.shutil, "which", lambda name: f"/bin/{name}")


@pytest.mark.usefixtures("installed")
def test_each_fault_is_one_line_with_its_remedy(monkeypatch, mounts):
    good = load()
    assert cluster.faults("slurm", good, mounts) == []
    asked = []
    monkeypatch.setattr(cluster.importlib.util, "find_spec", asked.append)
    monkeypatch.setattr(cluster.shutil, "which", lambda name: None)
    bad = load({"results": "/dev/shm/results", "data_dir": "/home/data"})
    plugin, sender, memory = cluster.faults("slurm", bad, mounts)
    assert asked == ["snakemake_executor_plugin_slurm"]
    assert plugin.startswith("executor slurm: snakemake-executor-plugin-slurm is not")
    assert sender.startswith("executor slurm: there is no sbatch here; start Snakemake")
    assert memory == (
        "config key results: /dev/shm/results is in this machine's memory (tmpfs) and "
        "no node sees it; choose a folder that the nodes share"
    )
    # On this machine none of it matters; of an executor unknown here, the plugin does.
    for here in (None, "local", "dryrun", "touch"):
        assert cluster.faults(here, bad, mounts) == []
    [line] = cluster.faults("another-one", good, mounts)
    assert "snakemake-executor-plugin-another-one" in line


def test_a_node_that_does_not_see_the_results_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = load({"results": "results/of/mine"})
    line = cluster.unseen(config)
    assert line.startswith("config key results: results/of/mine is not there on ")
    assert str(tmp_path) in line and "\n" not in line
    os.makedirs("results/of/mine")
    assert cluster.unseen(config) is None


def test_the_doctor_looks_at_the_executor_of_a_profile(
    tmp_path, monkeypatch, capsys, repository
):
    shutil.copytree(repository / "profiles/slurm", tmp_path / "slurm")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cluster.shutil, "which", lambda name: None)
    with pytest.raises(SystemExit):
        main(["doctor", "--workflow-profile", "slurm"])
    assert "! executor slurm: there is no sbatch here" in capsys.readouterr().out
