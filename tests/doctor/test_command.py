"""`mlrpl doctor` as a command; mistakes are one line."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from mlrpl.__main__ import main
from mlrpl.doctor import machine as machines
from support.doctor import small


def test_a_config_mistake_is_the_workflows_line(capsys):
    Path("wrong.yaml").write_text("datasets: {voc2007: {formt: voc}}")
    assert main(["doctor", "--configfile", "wrong.yaml"]) == 1
    assert capsys.readouterr().err == (
        "mlrpl doctor: error: config key datasets.voc2007.formt: unknown key; did you "
        "mean format?\n"
    )


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("none.yaml", None, "none.yaml: cannot be read (No such file or directory); "),
        ("bad.yaml", "a: [", "bad.yaml: is not YAML ("),
        ("list.yaml", "- a", "list.yaml: has no keys at its top level"),
    ],
)
def test_a_config_file_that_is_none_is_one_line(name, text, line, capsys):
    if text is not None:
        Path(name).write_text(text)
    assert main(["doctor", "--configfile", name]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"mlrpl doctor: error: {line}") and said.count("\n") == 1


def test_the_command_on_this_machine(repository, capsys):
    """The demo is ready wherever the tests run; snakemake is not imported."""
    code = (
        "import sys; from mlrpl.__main__ import main; "
        "status = main(['doctor', '--profile', 'profiles/demo', '--cores', '1']); "
        "assert 'snakemake' not in sys.modules; sys.exit(status)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**machines.os.environ, "PYTHONPATH": str(repository / "workflow")},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("config      config.yaml + profiles/demo/config.yaml")
    assert done.stdout.splitlines()[-1] == "ready"


def test_a_missing_root_exits_with_1(capsys):
    overlay = small(datasets={"voc2007": {"root": "nowhere"}})
    Path("mine.yaml").write_text(yaml.safe_dump(overlay))
    with pytest.raises(SystemExit) as stopped:
        main(["doctor", "--configfile", "mine.yaml"])
    assert stopped.value.code == 1
    assert "\n! nowhere: is not there" in capsys.readouterr().out
