"""The command line: its list, its help, its version, where it is installed."""

import argparse
import importlib
import os
import shlex
import shutil
import subprocess
import sys
import tomllib

import pytest

from mlrpl import __version__
from mlrpl.__main__ import COMMANDS, main
from mlrpl.commands import usage


def parser_of(command):
    module = importlib.import_module(f"mlrpl.commands.{command}")
    parser = argparse.ArgumentParser(formatter_class=usage.Formatter)
    module.add_arguments(parser)
    return parser


def test_a_bare_call_lists_the_commands(capsys):
    assert main([]) == 0
    said = capsys.readouterr().out
    people, jobs = said.split("\njobs of the workflow")
    for name, text in COMMANDS.items():
        assert (text in said) == (name not in usage.INNER), name
    assert "  doctor " in people and "  train " in jobs
    assert "forkserver" not in said


def test_the_version_is_the_packages(capsys, repository):
    with pytest.raises(SystemExit) as stopped:
        main(["--version"])
    assert stopped.value.code == 0
    assert capsys.readouterr().out == f"mlrpl {__version__}\n"
    project = tomllib.loads((repository / "pyproject.toml").read_text())
    assert project["project"]["dynamic"] == ["version"]
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {
        "attr": "mlrpl.__version__"
    }


def test_a_wrong_command_is_one_line(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["docter"])
    assert stopped.value.code == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        "mlrpl: error: docter: no such command; did you mean doctor?"
    )


def test_every_command_has_an_example():
    assert usage.EXAMPLES.keys() == COMMANDS.keys() - set(usage.INNER)


@pytest.mark.parametrize("command", sorted(usage.EXAMPLES))
def test_examples_are_understood(command):
    for line in usage.EXAMPLES[command].split("\n"):
        words = shlex.split(line.split(" >")[0])
        parser_of(command).parse_args(words)


def test_help_has_an_example_and_the_defaults(capsys):
    with pytest.raises(SystemExit):
        main(["features", "--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert "example: mlrpl features --model RN101-quickgelu" in said
    assert "(default: 64)" in said and "(default: None)" not in said


def test_a_package_without_the_projects_files_is_one_line(repository, tmp_path):
    """As `pip install .` would leave it."""
    shutil.copytree(repository / "workflow/mlrpl", tmp_path / "mlrpl")
    done = subprocess.run(
        [sys.executable, "-m", "mlrpl", "methods"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert line.startswith("mlrpl methods: error: ")
    assert line.endswith(
        "; the package is installed without the project's other files; install it with "
        "`pip install --editable .` in the project's folder"
    )


def test_it_runs_from_anywhere(repository, tmp_path):
    """As an editable installation finds it: by the place of the package alone."""
    done = subprocess.run(
        [sys.executable, "-m", "mlrpl", "methods"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(repository / "workflow")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "`sarl`" in done.stdout


def test_completion_without_shtab_is_one_line(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert main(["completion", "bash"]) == 1
    assert capsys.readouterr().err == (
        "mlrpl completion: error: shtab is not installed; pip install shtab\n"
    )


def completed(script, *words):
    """What bash offers for the last word of a command line."""
    line = " ".join(words)
    asked = (
        f"source {shlex.quote(str(script))}\n"
        f"COMP_WORDS=({line}) COMP_CWORD={len(words) - 1} COMP_LINE={line!r}\n"
        f"COMP_POINT={len(line)}\n"
        f"_shtab_mlrpl mlrpl {words[-1]} {words[-2]}\n"
        'printf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    bash = ["bash", "--norc", "-c", asked]
    done = subprocess.run(bash, capture_output=True, text=True, check=True)
    return {word.strip() for word in done.stdout.splitlines()}


def test_completion_is_of_commands_and_their_options(tmp_path):
    pytest.importorskip("shtab")
    script = tmp_path / "completion"
    command = [sys.executable, "-m", "mlrpl", "completion", "bash"]
    script.write_bytes(subprocess.run(command, capture_output=True, check=True).stdout)
    for name in COMMANDS.keys() - set(usage.INNER):
        assert name in completed(script, "mlrpl", name[:2]), name
    assert completed(script, "mlrpl", "pre") == {"predict"}
    assert completed(script, "mlrpl", "predict", "--ma") == {"--maps"}
    assert completed(script, "mlrpl", "train", "--device", "c") == {"cpu", "cuda"}
