"""The README's example of an own method, as it stands there."""

import os
import re
import shutil
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file

from mlrpl.config.options import options_schema
from support import tiny
from support.trainings import arguments


@pytest.fixture(scope="module")
def section(repository) -> str:
    text = (repository / "README.md").read_text()
    return text.split("\n## Your own method\n")[1].split("\n## ")[0]


@pytest.fixture(scope="module")
def tree(repository, section, tmp_path_factory):
    """A copy of the package to which the section's blocks were added."""
    folder = tmp_path_factory.mktemp("own") / "workflow"
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(repository / "workflow", folder, ignore=ignore)
    (module,) = re.findall(r"`workflow/(mlrpl/methods/losses/\w+\.py)`", section)
    (code,) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    (folder / module).write_text(code)
    line, option = re.findall(r"```yaml\n(.*?)```", section, re.DOTALL)
    schema = folder / "schemas/options.schema.yaml"
    text = schema.read_text()
    last = "      p_bce: methods.losses.p_bce:PartialBCE\n"
    assert text.count(last) == 1
    schema.write_text(text.replace(last, last + line) + option)
    return folder


def test_the_table_has_every_part_that_there_is(section):
    for kind in ("head", "transfer", "loss"):
        (row,) = re.findall(rf"^\| \[{kind}\].*$", section, re.M)
        named = re.findall(r"`(\w+)`", row.split(" | ")[2])
        assert named == list(options_schema()["properties"][kind]["parts"])


def test_the_example_trains_with_its_own_option(tree, tmp_path):
    files = tiny.write_files(tmp_path)
    weights = {}
    for weight in (1, 3):
        folder = tmp_path / f"run{weight}"
        command = arguments(files, folder)
        place = command.index("--options") + 1
        command[place] = command[place].replace(
            "{", f'{{"loss": "p_brier", "brier_positive": {weight}, ', 1
        )
        environment = {**os.environ, "PYTHONPATH": str(tree)}
        done = subprocess.run(
            [sys.executable, "-m", "mlrpl", *command],
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        weights[weight] = load_file(folder / "weights.safetensors")
        losses = [
            float(row.split(",")[2])
            for row in (folder / "history.csv").read_text().splitlines()[1:]
        ]
        assert losses[-1] < losses[0]
    name = "head.prompts.context"
    assert not torch.equal(weights[1][name], weights[3][name])


def test_the_example_leaves_other_runs_as_they_are(tree, repository):
    """Options and code of a run that does not use it are those of before."""
    program = (
        "from mlrpl.config import dependencies, method_strings\n"
        "for method in ('sarl', 'sarl+loss=p_bce'):\n"
        "    found = method_strings.resolve(method, {}, {'sarl': {}})\n"
        "    modules = dependencies.training_modules(found)\n"
        "    print(sorted(found.items()), dependencies.code_hash(*modules))\n"
    )
    said = [
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONPATH": str(folder)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for folder in (repository / "workflow", tree)
    ]
    assert said[0] == said[1] and "p_brier" not in said[1]
