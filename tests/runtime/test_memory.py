"""How much memory there is: on the machine, in a container, in a batch job."""

import resource

import pytest

from mlrpl.runtime import memory

GB = 10**9
GIB = 2**30
MACHINE = (64 * GIB, 48 * GIB)
NO_LIMIT_1 = 9223372036854771712  # what version 1 has where nothing was set


@pytest.mark.parametrize(
    ("size", "device", "host", "place"),
    [
        (16 * GB, 80 * GB, 64 * GB, "device"),
        (16 * GB, 24 * GB, 64 * GB, "host"),
        (16 * GB, None, 64 * GB, "host"),
        (16 * GB, 24 * GB, 20 * GB, "disk"),
        (16 * GB, None, 20 * GB, "disk"),
        (16 * GB, None, None, "host"),
        (0, 0, 0, "device"),
    ],
)
def test_features_go_where_they_fit(size, device, host, place):
    assert memory.place(size, device, host) == place


def test_the_hosts_memory_is_known():
    total, available = memory.host_memory()
    assert GB // 4 < available <= total


class System:
    """A tree of files as a Linux system has them, for a machine of 64 GiB."""

    def __init__(self, folder):
        self.proc, self.cgroups = folder / "proc", folder / "cgroup"
        total, available = (size // 1024 for size in MACHINE)
        self.write(
            self.proc / "meminfo",
            f"MemTotal: {total} kB\nMemFree: 1 kB\nMemAvailable: {available} kB\n",
        )
        # 8 GiB of address space, 2 GiB of them in memory.
        page = resource.getpagesize()
        self.write(
            self.proc / "self/statm", f"{8 * GIB // page} {2 * GIB // page} 0 0 0 0 0\n"
        )

    def write(self, path, text):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def is_in(self, *lines):
        self.write(self.proc / "self/cgroup", "".join(f"{line}\n" for line in lines))

    def group(self, path, stat="", **files):
        folder = self.cgroups / path
        for name, value in files.items():
            self.write(folder / f"memory.{name}", f"{value}\n")
        self.write(folder / "memory.stat", f"anon 5\n{stat}\n")

    def memory(self, **environment):
        return memory.host_memory(self.proc, self.cgroups, environment)


@pytest.fixture
def system(tmp_path, monkeypatch):
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    monkeypatch.setattr(resource, "getrlimit", lambda which: unlimited)
    return System(tmp_path)


def test_without_limits_it_is_the_machines(system):
    assert system.memory() == MACHINE
    system.is_in("0::/")
    assert system.memory() == MACHINE
    system.is_in("nonsense", "", "4:memory")
    assert system.memory() == MACHINE


def test_a_system_that_says_little_or_nothing(system, monkeypatch):
    (system.proc / "meminfo").unlink()
    total, available = system.memory()
    assert total > GB // 4 and available is None

    def unknown(name):
        raise ValueError(name)

    monkeypatch.setattr("os.sysconf", unknown)
    assert system.memory() == (None, None)
    system.group("", max=4 * GIB, current=GIB)
    assert system.memory() == (4 * GIB, 3 * GIB)


def test_the_groups_own_limit_counts_and_what_is_in_use(system):
    system.is_in("0::/user/job")
    system.group("user/job", max=16 * GIB, current=5 * GIB)
    assert system.memory() == (16 * GIB, 11 * GIB)
    system.group("user/job", stat=f"inactive_file {3 * GIB}")  # taken back when needed
    assert system.memory() == (16 * GIB, 14 * GIB)


def test_the_tightest_of_nested_groups_counts(system):
    system.is_in("0::/slice/user/job")
    system.group("slice/user/job", max="max", current=GIB)
    system.group("slice/user", max=32 * GIB, current=30 * GIB)
    system.group("slice", max=24 * GIB, current=10 * GIB, high="max")
    system.group("slice/other", max=GIB, current=GIB)  # not this process's
    assert system.memory() == (24 * GIB, 2 * GIB)
    system.group("slice/user", current=33 * GIB)
    assert system.memory() == (24 * GIB, 0)
    system.group("slice/user/job", high=8 * GIB)  # from where on it is slowed down
    assert system.memory() == (8 * GIB, 0)


@pytest.mark.parametrize("path", ["/", "/docker/0123", "/../../elsewhere"])
def test_a_containers_root_has_its_limit(path, system):
    system.is_in(f"0::{path}")
    system.group("", max=4 * GIB, current=GIB)
    assert system.memory() == (4 * GIB, 3 * GIB)


def test_the_root_counts_where_nothing_says_which_group_it_is(system):
    system.group("", max=4 * GIB, current=GIB)
    assert system.memory() == (4 * GIB, 3 * GIB)


def test_version_1(system):
    system.is_in("9:name=systemd:/x", "4:cpu,memory:/slurm/job", "0::/")
    system.group("memory/slurm", limit_in_bytes=NO_LIMIT_1, usage_in_bytes=40 * GIB)
    assert system.memory() == MACHINE
    system.group(
        "memory/slurm/job",
        limit_in_bytes=20 * GIB,
        usage_in_bytes=18 * GIB,
        stat=f"inactive_file 7\ntotal_inactive_file {4 * GIB}",
    )
    assert system.memory() == (20 * GIB, 6 * GIB)
    system.group("memory", limit_in_bytes=12 * GIB, usage_in_bytes=11 * GIB)
    assert system.memory() == (12 * GIB, GIB)


def test_a_limit_above_the_machines_memory_is_none(system):
    system.is_in("0::/job")
    system.group("job", max=100 * GIB, current=GIB)
    assert system.memory() == MACHINE


def test_slurms_limits_count(system):
    assert system.memory(SLURM_MEM_PER_NODE="16384") == (16 * GIB, 14 * GIB)
    per_core = {"SLURM_MEM_PER_CPU": "4096", "SLURM_CPUS_ON_NODE": "3"}
    assert system.memory(**per_core) == (12 * GIB, 10 * GIB)
    for nothing in ("", "0", "lots"):
        assert system.memory(SLURM_MEM_PER_NODE=nothing) == MACHINE
    assert system.memory(SLURM_MEM_PER_CPU="4096") == MACHINE
    assert system.memory(SLURM_MEM_PER_NODE="1024") == (GIB, 0)


def test_the_shells_limit_counts(system, monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda which: (20 * GIB, 30 * GIB))
    assert system.memory() == (20 * GIB, 12 * GIB)
