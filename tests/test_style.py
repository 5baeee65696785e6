"""Formatters and linters, on the whole project."""

import re
import subprocess
import sys

import pytest

from support.workflow_tree import copy_tree, snakemake


def run(repository, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=repository,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.parametrize(
    "command", [("ruff", "check"), ("ruff", "format", "--check")], ids=" ".join
)
def test_ruff(repository, command):
    done = run(repository, *command, "workflow", "tests")
    assert done.returncode == 0, done.stdout


def test_snakefmt(repository):
    done = run(repository, "snakefmt", "--check", "Snakefile", "workflow")
    assert done.returncode == 0, done.stdout


@pytest.mark.workflow
def test_snakemake_lint(repository, tmp_path):
    done = snakemake(copy_tree(repository, tmp_path / "tree"), "--lint")
    assert done.returncode == 0, done.stdout


def rule_files(repository):
    return [
        repository / "Snakefile",
        *sorted((repository / "workflow").glob("rules/*.smk")),
        *sorted((repository / "workflow").glob("ablations/*.smk")),
    ]


def helper_files(repository):
    return sorted((repository / "workflow/rules/common").glob("*.smk"))


def test_rule_files_begin_with_what_they_are(repository):
    for path in [*rule_files(repository), *helper_files(repository)]:
        assert path.read_text().startswith('"""'), path


def test_rules_say_what_they_need(repository):
    """Every rule with a command has its log, environment and threads, and no `run:`."""
    for path in rule_files(repository):
        blocks = re.split(r"^rule ", path.read_text(), flags=re.MULTILINE)[1:]
        for block in blocks:
            keys = set(re.findall(r"^    (\w+):", block, re.MULTILINE))
            assert "run" not in keys and "script" not in keys, block
            if "shell" in keys:
                assert {"output", "log", "conda", "threads"} <= keys, block
                assert "{log:q}" in block and "python -m mlrpl " in block


def test_functions_are_apart_from_rules(repository):
    for path in rule_files(repository):
        assert not re.search(r"^def ", path.read_text(), re.MULTILINE), path
    for path in helper_files(repository):
        text = path.read_text()
        assert not re.search(r"^(use )?rule ", text, re.MULTILINE), path
        assert len(text.splitlines()) <= 200, path
