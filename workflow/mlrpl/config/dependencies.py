"""What a job's numbers depend on in this package, found from its imports.

A job names the modules that do its work. Those that they import, directly or through
others, are found in their text, and a hash of what all of them say goes into the job's
parameters: an edit of the code makes the job anew, a comment, a docstring or another
layout of the same code does not.
"""

import ast
import functools
import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mlrpl.config import options

PACKAGE = Path(__file__).resolve().parents[1]

# Modules and folders that change no number: how a mistake is told, where and on what a
# job runs, how a file is kept whole, which values the configuration allows. The values
# themselves are the job's parameters.
NO_NUMBERS = ("errors", "runtime", "config", "training.checkpoints")


def code_hash(*modules: str, package: Path = PACKAGE) -> str:
    """Return a hash of what modules say, and of all that they import.

    Args:
        modules: names below the package, such as `data.coco`.
        package: the folder of the package.

    Raises:
        FileNotFoundError: a name that is no module of the package.
    """
    digest = hashlib.sha256()
    for module in sorted(closure(modules, package)):
        digest.update(f"{module} {_read(module, package)[0]}\n".encode())
    return digest.hexdigest()[:16]


def training_modules(chosen: Mapping[str, Any]) -> list[str]:
    """Return the modules that a training starts from: the loop, and its own parts.

    Args:
        chosen: the options that apply to the run (`options.resolve`).
    """
    return ["training.run", "evaluation.average_precision", *options.part_modules(chosen)]


def closure(modules: Iterable[str], package: Path = PACKAGE) -> set[str]:
    """Return modules with all that they import from the package, by their names.

    Imports inside of functions count. Those of `NO_NUMBERS` are left out, and so is what
    only they import.

    Raises:
        FileNotFoundError: a name that is no module of the package.
    """
    found: set[str] = set()
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        if module not in found and not _changes_nothing(module):
            found.add(module)
            waiting += _read(module, package)[1]
    return found


def imports(source: str, package: Path = PACKAGE) -> list[str]:
    """Return what a module imports from the package, by names below it.

    Args:
        source: the module's text.
        package: the folder of the package, which tells a module from a name in one.
    """
    names = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.append(node.module)
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    inside = [name.partition(".")[2] for name in names if name.startswith("mlrpl.")]
    return [name for name in dict.fromkeys(inside) if _path(name, package)]


def _changes_nothing(module: str) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in NO_NUMBERS)


def _path(module: str, package: Path) -> Path | None:
    """Return the file of a module or of a folder's `__init__`; None if it is neither."""
    place = package / module.replace(".", "/")
    for path in (place.with_suffix(".py"), place / "__init__.py"):
        if path.is_file():
            return path
    return None


@functools.cache
def _read(module: str, package: Path) -> tuple[str, list[str]]:
    """Return a hash of what a module says, and what it imports."""
    path = _path(module, package)
    if path is None:
        raise FileNotFoundError(f"{package}: has no module {module}")
    source = path.read_text(encoding="utf-8")
    said = hashlib.sha256(said_by(source).encode()).hexdigest()
    return said, imports(source, package)


def said_by(source: str) -> str:
    """Return the syntax tree of a module as text, without docstrings and positions.

    Fields that are empty are left out: which of these there are depends on the version
    of Python.
    """
    return _dump(ast.parse(source))


def _dump(node: Any) -> str:
    if isinstance(node, list):
        return f"[{','.join(map(_dump, node))}]"
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = []
    for name, value in ast.iter_fields(node):
        if name == "body" and isinstance(node, DOCUMENTED):
            value = value[1:] if ast.get_docstring(node, clean=False) else value
        if value is not None and value != []:
            fields.append(f"{name}={_dump(value)}")
    return f"{type(node).__name__}({','.join(fields)})"


DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
