"""The versions of packages that the doctor asks for."""

import sys

import pytest
from packaging.specifiers import SpecifierSet

from mlrpl.__main__ import main
from mlrpl.doctor import machine as machines
from mlrpl.doctor.findings import examine
from support.doctor import VERSIONS, load, machine, shown, small


@pytest.mark.parametrize("version", ["3.0", "3.3.0", "4", "4.0.1", "2.9", "3.0.0rc1"])
def test_ranges_are_read_as_pip_reads_them(version):
    allowed = ">=3.0,<4"
    if version != "3.0.0rc1":  # a release candidate counts as its release here
        assert machines.in_range(version, allowed) == SpecifierSet(allowed).contains(
            version
        )


def test_a_missing_or_old_package_is_not_ready():
    versions = {**VERSIONS, "torch": None, "open_clip_torch": "2.30.0"}
    findings = examine(load(small()), machine(versions=versions))
    assert sorted(findings.faults) == [
        "open_clip_torch: is 2.30.0, not >=3.0,<4; install envs/requirements.txt",
        "torch: is not installed; install envs/requirements.txt",
    ]
    assert "torch missing" in shown(findings)


def test_without_torch_the_command_says_so(monkeypatch, capsys):
    version = machines.importlib.metadata.version

    def without_torch(name):
        if name == "torch":
            raise machines.importlib.metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(machines.importlib.metadata, "version", without_torch)
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "mlrpl.encoder.clip", raising=False)
    with pytest.raises(SystemExit, match="1"):
        main(["doctor", "--workflow-profile", "profiles/demo"])
    said = capsys.readouterr().out
    assert "! torch: is not installed" in said
    assert "not checked" in said and said.splitlines()[-1].startswith("not ready: ")
