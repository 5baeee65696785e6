"""Every block and command line of the README and of docs/, as it stands there.

Long ones are planned, not run; the config blocks are checked as the workflow does.
"""

import argparse
import importlib
import re
import shlex
import shutil
from pathlib import Path

import pytest
import yaml

from mlrpl.__main__ import COMMANDS
from mlrpl.config.files import load_config
from mlrpl.config.validation import validate
from support import pages
from support.workflow_tree import job_counts, snakemake

REPOSITORY = Path(__file__).resolve().parents[2]
# Options after which Snakemake takes every word up to the next option.
GREEDY = ("--resources", "--configfile", "--configfiles", "--config")
PYTHON = pages.blocks(REPOSITORY, "python", "snakemake", "smk")
ABLATIONS = [block for block in PYTHON if "as ablation_" in block.text]
YAML = [b for b in pages.blocks(REPOSITORY, "yaml") if not b.text.startswith(" ")]
SNAKEMAKE = pages.commands(REPOSITORY, "snakemake")
TUNING = "tuning: {methods: [sarl], search: {lr: [0.1, 0.2]}}"
MLRPL = pages.commands(REPOSITORY, "mlrpl")


def test_the_pages_show_something():
    assert ABLATIONS and YAML and len(SNAKEMAKE) > 4 and MLRPL


@pytest.mark.parametrize("block", YAML, ids=str)
def test_config_blocks_are_configurations(repository, tmp_path, monkeypatch, block):
    (tmp_path / "mine.yaml").write_text(block.text)
    monkeypatch.chdir(tmp_path)
    base = repository / "config.yaml"
    config = validate(load_config(["mine.yaml"], base=base))
    assert set(yaml.safe_load(block.text)) <= set(config)


@pytest.mark.parametrize("block", PYTHON, ids=str)
def test_python_blocks_can_be_read(block):
    if not re.search(r"^(use rule|module|rule) ", block.text, re.MULTILINE):
        compile(block.text, str(block), "exec")


@pytest.fixture(scope="module")
def followed(finished):
    """The small workflow of a reader who has saved the pages' ablations."""
    found = {}
    for block in ABLATIONS:
        [name] = re.findall(r"as ablation_(\w+)", block.text)
        found[name] = finished.folder / f"workflow/ablations/{name}.smk"
        found[name].write_text(block.text)
    finished.write("tuned.yaml", TUNING)
    yield finished, found
    for path in found.values():
        path.unlink()


@pytest.mark.workflow
@pytest.mark.parametrize("block", ABLATIONS, ids=str)
def test_ablations_run_as_they_stand(followed, block):
    finished, found = followed
    [name] = re.findall(r"as ablation_(\w+)", block.text)
    found[name].write_text(block.text)
    arguments = finished.arguments("--cores", "2")
    done = snakemake(finished.folder, f"ablation_{name}", *arguments)
    assert done.returncode == 0, done.stdout
    ending = "pdf" if "figure" in block.text.split("with:")[0] else "md"
    assert (finished.folder / f"results/ablations/{name}.{ending}").is_file()


@pytest.mark.workflow
@pytest.mark.parametrize("line", SNAKEMAKE)
def test_snakemake_lines_are_planned(followed, line):
    finished, _ = followed
    words = shlex.split(line)[1:]
    elsewhere = {"-s", "--report", "--unlock", "--workflow-profile"}
    elsewhere |= {"--default-storage-provider"}
    if elsewhere & set(words):
        pytest.skip("of another folder, or run elsewhere in these tests")
    if "examples/own_data/config.yaml" in words:
        if not (finished.folder / "examples").exists():
            shutil.copytree(REPOSITORY / "examples", finished.folder / "examples")
    elif "--configfile" in words:
        place = words.index("--configfile") + 1
        words[place : place + 1] = ["small.yaml", "tuned.yaml"]
    else:
        words += ["--configfile", "small.yaml", "tuned.yaml"]
    done = snakemake(finished.folder, *words, "-n", "--cores", "2")
    assert done.returncode == 0, done.stdout
    assert "--list" in words or job_counts(done.stdout) is not None


@pytest.mark.parametrize("line", SNAKEMAKE)
def test_targets_come_before_options_that_take_many_words(line):
    words = shlex.split(line)
    for flag in GREEDY:
        if flag in words:
            after = words[words.index(flag) + 2 :]
            if flag in ("--resources", "--config"):
                after = [word for word in after if "=" not in word.split("{")[0]]
            assert not after or after[0].startswith("-"), line


@pytest.mark.parametrize("line", MLRPL)
def test_mlrpl_lines_are_understood(line):
    command, *rest = shlex.split(line)[1:]
    if command.startswith("-"):
        return
    assert command in COMMANDS, line
    module = importlib.import_module(f"mlrpl.commands.{command}")
    parser = argparse.ArgumentParser(prog="mlrpl", exit_on_error=False)
    module.add_arguments(parser)
    parser.parse_args(rest)
