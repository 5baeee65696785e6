"""The order of the package's folders, and that the tests mirror them."""

import ast
import graphlib
from collections.abc import Iterator
from pathlib import Path

import pytest

# Each folder (or module at the top) may import those before it and itself.
STAGES = [
    "errors",
    "runtime",
    "config",
    "archives",
    "download",
    "data",
    "embeddings",
    "encoder",
    "text",
    "methods",
    "training",
    "evaluation",
    "prediction",
    "statistics",
    "reporting",
    "demo",
    "doctor",
    "planning",
    "bench",
    "commands",
    "__main__",
]
# The process that runs small commands runs them as the command line does; what a shell
# completes are the command line's commands.
EXCEPTIONS = {
    ("commands.forkserver", "__main__"),
    ("commands.completion", "__main__"),
}
# Folders of tests without a folder of the package.
OTHER_TESTS = {"cluster", "workflow"}
LONGEST = 400


@pytest.fixture(scope="module")
def package(repository) -> Path:
    return repository / "workflow/mlrpl"


@pytest.fixture(scope="module")
def imports(package) -> dict[str, set[str]]:
    """Which modules of the package each of its modules imports."""
    paths = {_name(path, package): path for path in package.rglob("*.py")}
    return {
        name: set(_imported(path, name, set(paths))) - {name}
        for name, path in paths.items()
    }


@pytest.fixture(scope="module")
def files(repository) -> list[Path]:
    return sorted((repository / "tests").rglob("test_*.py"))


def _name(path: Path, package: Path) -> str:
    """`config.files` of config/files.py; a folder's name for its `__init__`."""
    parts = path.relative_to(package).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def _imported(path: Path, name: str, modules: set[str]) -> Iterator[str]:
    """Yield the package's modules that a file imports, in functions too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}: imports by a relative name"
            found = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for whole in found:
            top, _, inner = whole.partition(".")
            if top != "mlrpl":
                continue
            if inner not in modules:
                inner = inner.rpartition(".")[0]
            assert inner in modules, f"{name}: there is no module {whole}"
            yield inner


def test_the_top_of_the_package_is_its_stages(package):
    modules = {path.stem for path in package.glob("*.py")}
    assert modules == {"__init__", "__main__", "errors"}
    folders = {path.parent.name for path in package.glob("*/__init__.py")}
    assert folders == set(STAGES) - modules


def test_imports_go_one_way(imports):
    order = {stage: number for number, stage in enumerate(STAGES)}
    wrong = {
        (name, other)
        for name, others in imports.items()
        for other in others
        if other and order[other.split(".")[0]] > order.get(name.split(".")[0], -1)
    }
    assert wrong <= EXCEPTIONS, sorted(wrong - EXCEPTIONS)
    assert wrong == EXCEPTIONS, "an exception that is no longer needed"


def test_no_modules_import_one_another(imports):
    graph = {
        name: {other for other in others if (name, other) not in EXCEPTIONS}
        for name, others in imports.items()
    }
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        pytest.fail(" -> ".join(reversed(error.args[1])))


def test_test_folders_are_the_packages(repository, package, files):
    folders = {path.parent.relative_to(repository / "tests") for path in files}
    for folder in folders - {Path(".")} - set(map(Path, OTHER_TESTS)):
        assert (package / folder / "__init__.py").is_file(), folder


def test_no_test_file_imports_another(repository, files):
    names = {path.stem for path in files}
    for path in sorted((repository / "tests").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                found = [node.module or "", *(alias.name for alias in node.names)]
            elif isinstance(node, ast.Import):
                found = [alias.name for alias in node.names]
            else:
                continue
            parts = {part for name in found for part in name.split(".")}
            assert not parts & names, f"{path}: imports {sorted(parts & names)}"


def test_no_test_file_is_long(files):
    for path in files:
        count = len(path.read_text(encoding="utf-8").splitlines())
        assert count <= LONGEST, f"{path}: {count} lines"
