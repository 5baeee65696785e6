"""The environment: pins that agree, ranges that hold them, the Makefile's Python."""

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import requires
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

IMPORTED_AS = {"PIL": "pillow", "yaml": "pyyaml", "open_clip": "open-clip-torch"}


def pins(path: Path) -> dict[str, Requirement]:
    lines = (line.split("#")[0].strip() for line in path.read_text().splitlines())
    return by_name(line for line in lines if line and not line.startswith("-r"))


def by_name(lines) -> dict[str, Requirement]:
    parsed = [Requirement(line) for line in lines]
    return {canonicalize_name(entry.name): entry for entry in parsed}


@pytest.fixture(scope="module")
def project(repository):
    return tomllib.loads((repository / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def run_pins(repository):
    return pins(repository / "envs/requirements.txt")


def test_conda_file_has_the_pins_of_requirements(repository, run_pins):
    conda = yaml.safe_load((repository / "envs/mlrpl.yaml").read_text())
    *packages, pip = conda["dependencies"]
    assert {re.split("=", name)[0] for name in packages} == {"python", "pip"}
    assert {str(r) for r in by_name(pip["pip"]).values()} == {
        str(r) for r in run_pins.values()
    }


def test_conda_python_is_allowed(repository, project):
    conda = yaml.safe_load((repository / "envs/mlrpl.yaml").read_text())
    [python] = [d for d in conda["dependencies"] if str(d).startswith("python=")]
    allowed = Requirement(f"python{project['requires-python']}").specifier
    assert allowed.contains(python.split("=")[1])


def test_pins_are_exact_and_in_the_ranges(repository, project, run_pins):
    test_pins = pins(repository / "envs/requirements-test.txt")
    for pinned, ranges in (
        (run_pins, by_name(project["dependencies"])),
        (test_pins, by_name(project["optional-dependencies"]["test"])),
    ):
        assert set(pinned) == set(ranges)
        for name, requirement in pinned.items():
            [pin] = requirement.specifier
            assert pin.operator == "==" and "*" not in pin.version, requirement
            assert ranges[name].specifier.contains(pin.version), requirement


def test_requirements_are_those_the_issue_names(run_pins):
    expected = {
        "torch": "2.14.1",
        "torchvision": "0.29.2",
        "open-clip-torch": "3.3.0",
        "snakemake": "9.27.1",
    }
    assert {name: str(run_pins[name].specifier)[2:] for name in expected} == expected
    assert run_pins["snakemake"].extras == {"reports"}, "`--report` needs it"


def test_everything_that_is_imported_is_pinned(repository, run_pins):
    imported = set()
    for path in (repository / "workflow/mlrpl").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                imported.add(node.module.split(".")[0])
    foreign = imported - set(sys.stdlib_module_names) - {"mlrpl"}
    names = {canonicalize_name(IMPORTED_AS.get(name, name)) for name in foreign}
    # Triton comes with torch for Linux, which says in what version; without it all
    # works.
    if sys.platform == "linux":
        assert "triton" in {Requirement(line).name for line in requires("torch")}
    assert names - {"triton", "shtab"} <= set(run_pins)
    assert "snakemake" not in names, "the package runs without Snakemake"


def test_snakefile_asks_for_a_version_that_the_pin_satisfies(repository, run_pins):
    [least] = re.findall(
        r'min_version\("([\d.]+)"\)', (repository / "Snakefile").read_text()
    )
    assert run_pins["snakemake"].specifier.contains(least) is False
    assert Requirement(f"snakemake>={least}").specifier.contains(
        str(run_pins["snakemake"].specifier)[2:]
    )


def test_makefile_refuses_an_old_python_in_one_line(repository, tmp_path):
    (tmp_path / "Makefile").write_text((repository / "Makefile").read_text())
    (tmp_path / "envs").mkdir()
    for name in ("requirements.txt", "requirements-test.txt"):
        (tmp_path / "envs" / name).touch()
    old = tmp_path / "python-old"
    old.write_text(
        "#!/bin/sh\nexit 1\n"
    )  # what 3.10 answers to the Makefile's question
    old.chmod(0o755)
    command = ["make", "test", f"PYTHON={old}"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode != 0
    [line] = done.stderr.splitlines()
    assert f"no Python 3.11 or later among: {old}" in line
    assert not (tmp_path / ".venv").exists()


def test_makefile_makes_the_environment_once(repository, tmp_path):
    (tmp_path / "Makefile").write_text((repository / "Makefile").read_text())
    (tmp_path / "envs").mkdir()
    for name in ("requirements.txt", "requirements-test.txt"):
        (tmp_path / "envs" / name).touch()
    first = make_dry(tmp_path)
    assert "-m venv .venv" in first and first.count("pip install") == 3
    (tmp_path / ".venv").mkdir()
    for name in ("run.stamp", "test.stamp"):
        (tmp_path / ".venv" / name).touch()
    assert "pip install" not in make_dry(tmp_path)


def make_dry(folder: Path) -> str:
    command = ["make", "--dry-run", "test", f"PYTHON={sys.executable}"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_only_a_download_imports_pooch(repository):
    """Every other command starts without it, and without what it imports."""
    modules = "\n".join(
        f"import mlrpl.commands.{path.stem}"
        for path in (repository / "workflow/mlrpl/commands").glob("[!_]*.py")
    )
    code = f"import sys, mlrpl.__main__\n{modules}\nprint('pooch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=repository / "workflow",
        capture_output=True,
        text=True,
    )
    assert done.stdout == "False\n", done.stderr
    users = "pooch", "mlrpl.download.files"
    found = {name: set() for name in users}
    for path in (repository / "workflow/mlrpl").rglob("*.py"):
        for name in users:
            if re.search(rf"^ *(import|from) {name}\b", path.read_text(), re.MULTILINE):
                found[name].add(path.relative_to(repository / "workflow/mlrpl"))
    assert found == {
        "pooch": {Path("download/files.py")},
        "mlrpl.download.files": {
            Path("commands/download.py"),
            Path("doctor/sources.py"),  # where it compares hashes
            Path("encoder/fetching.py"),
        },
    }


def test_the_image_is_of_the_pins_and_has_no_root(repository):
    lines = (repository / "envs/Dockerfile").read_text().replace("\\\n", " ")
    commands = [
        line.split(maxsplit=1)
        for line in lines.splitlines()
        if line and not line.startswith("#")
    ]
    [image] = [words for name, words in commands if name == "FROM"]
    conda = yaml.safe_load((repository / "envs/mlrpl.yaml").read_text())
    [python] = [d for d in conda["dependencies"] if str(d).startswith("python=")]
    assert image.startswith(f"python:{python.split('=')[1]}-")
    # The file of the pins itself, and nothing besides it.
    [copied] = [words.split() for name, words in commands if name == "COPY"]
    assert copied == ["requirements.txt", "/tmp/requirements.txt"]
    [run] = [words for name, words in commands if name == "RUN"]
    [installing] = [step for step in run.split("&&") if "pip" in step]
    assert installing.split()[:2] == ["pip", "install"]
    named = [word for word in installing.split()[2:] if not word.startswith("--")]
    assert named == ["/tmp/requirements.txt"]
    [user] = [words for name, words in commands if name == "USER"]
    assert int(user) > 0 and f"--uid {user} " in run
    # Under another number Snakemake finds a name, and a home to write its cache to.
    [settings] = [words for name, words in commands if name == "ENV"]
    settings = dict(word.split("=") for word in settings.split())
    assert settings["LOGNAME"] and f"chmod 1777 {settings['HOME']}" in run


def test_a_configured_image_is_that_of_every_job(repository, tmp_path):
    program = (
        "import sys; from pathlib import Path; from snakemake.api import *\n"
        "from snakemake.settings.types import *\n"
        "with SnakemakeApi() as api:\n"
        "    flow = api.workflow(resource_settings=ResourceSettings(cores=1),"
        " config_settings=ConfigSettings(config={'container': sys.argv[2]}),"
        " snakefile=Path(sys.argv[1]), workdir=Path('.'))\n"
        "    print({rule.container_img for rule in flow._workflow.rules})\n"
    )
    for given, found in (("docker://mlrpl", "{'docker://mlrpl'}"), ("", "{None}")):
        words = [str(repository / "Snakefile"), given]
        if not given:
            program = program.replace("{'container': sys.argv[2]}", "{}")
        done = subprocess.run(
            [sys.executable, "-c", program, *words],
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert done.stdout.strip().splitlines()[-1] == found, done.stderr
