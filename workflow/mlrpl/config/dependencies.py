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

# Fields of a statement that hold statements, or cases and handlers with such fields.
BLOCKS = ("body", "handlers", "orelse", "finalbody", "cases")
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)

# Modules and folders that change no number, and why; but those that a rule names count.
NO_NUMBERS = {
    "errors": "the texts of errors",
    "runtime": "where a job runs, and how its files reach the disk",
    "config": "what may be asked; what was asked is a job's parameter",
    "archives": "reading bytes; a file's bytes are its input",
    "data.index": "reading and writing; the rules that make an index name it",
    "data.checks": "what is refused",
    "data.row_blocks": "in how many pieces a matrix is gone through",
    "data.splits": "what is refused, and what is warned of",
    "encoder.shard_list": "which files; the rule that lists them names it",
    "demo.workers": "which process draws a picture",
    "training.history": "what a training says while it runs",
    "training.checkpoints": "a training that goes on ends with the same bits",
}


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
        chosen: the options that apply to the run (`method_strings.resolve`).
    """
    loop = ["training.run", "evaluation.average_precision"]
    return loop + options.part_modules(chosen)


def closure(modules: Iterable[str], package: Path = PACKAGE) -> set[str]:
    """Return modules with all that they import from the package, by their names.

    Imports inside of functions count. What `NO_NUMBERS` has is left out, with what it
    alone imports, unless it is among the modules that are asked for.

    Raises:
        FileNotFoundError: a name that is no module of the package.
    """
    found: set[str] = set()
    waiting = list(modules)
    asked = set(waiting)
    while waiting:
        module = waiting.pop()
        if module not in found and (module in asked or not _changes_nothing(module)):
            found.add(module)
            waiting += _read(module, package)[1]
    return found


def imports(tree: ast.AST, package: Path = PACKAGE) -> list[str]:
    """Return what a module imports from the package, by names below it.

    Args:
        tree: the module's syntax tree.
        package: the folder of the package, which tells a module from a name in one.
    """
    names = []
    for node in _statements(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.append(node.module)
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    inside = [name.partition(".")[2] for name in names if name.startswith("mlrpl.")]
    return [name for name in dict.fromkeys(inside) if _path(name, package)]


def _statements(tree: ast.AST) -> list[ast.AST]:
    """Return a tree's statements, without the expressions, which hold none."""
    found = [tree]
    for node in found:  # grows meanwhile
        for name in BLOCKS:
            held = getattr(node, name, None)
            if isinstance(held, list):
                found += held
    return found


@functools.cache
def _changes_nothing(module: str) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in NO_NUMBERS)


@functools.cache
def _path(module: str, package: Path) -> Path | None:
    """Return the file of a module, or of a folder's `__init__`; None without one."""
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
    tree = ast.parse(path.read_text(encoding="utf-8"))
    said = hashlib.sha256(said_by(tree).encode()).hexdigest()
    return said, imports(tree, package)


def said_by(node: Any) -> str:
    """Return a syntax tree as text, without docstrings and positions.

    Fields that are empty are left out: which of these there are depends on the version
    of Python.
    """
    if isinstance(node, list):
        return f"[{','.join(map(said_by, node))}]"
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = []
    for name in node._fields:
        value = getattr(node, name, None)
        if name == "body" and isinstance(node, DOCUMENTED):
            value = value[1:] if ast.get_docstring(node, clean=False) else value
        if value is not None and value != []:
            fields.append(f"{name}={said_by(value)}")
    return f"{type(node).__name__}({','.join(fields)})"
