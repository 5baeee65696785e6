"""Ablations as files: what their names and rules may be, and which runs they ask for.

An ablation is a rule of Snakemake's in a file of its own. What is read here is its
text, so that a mistake in it is one line, and so that its runs can be counted without
Snakemake.
"""

import inspect
import io
import re
import tokenize
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mlrpl.config import plan, specs
from mlrpl.config.specs import RUN_KEYS, did_you_mean
from mlrpl.errors import UserError

FOLDER = Path(__file__).resolve().parents[2] / "ablations"
RULE = re.compile(r"^(?:use rule \w+ as|rule|checkpoint) (\w+)", re.MULTILINE)
CALLS = ("ablation", "shown")


def names(folder: Path = FOLDER) -> list[str]:
    """Return the names of all ablations in a folder, sorted."""
    return sorted(path.stem for path in folder.glob("*.smk"))


def chosen(config: Mapping[str, Any], folder: Path = FOLDER) -> list[str]:
    """Return the ablations that the configuration asks for.

    Raises:
        UserError: one of them has no file.
    """
    there = names(folder)
    for name in config["ablations"]:
        if name not in there:
            hint = did_you_mean(name, there) or f"there are {', '.join(there)}"
            raise UserError(
                f"config key ablations: {name}: no such file in {folder}; {hint}"
            )
    return list(config["ablations"])


def check_file(path: Path, taken: Mapping[str, str]) -> list[str]:
    """Return the names of an ablation's rules.

    All begin with `ablation_` and the file's name, which no rule of the workflow does.

    Args:
        path: the file.
        taken: rules that other ablations have, and the file of each.

    Raises:
        UserError: a file's name that cannot be part of a rule's, or a rule's name that
            is not the file's own.
    """
    wanted = f"ablation_{path.stem}"
    if not path.stem.isidentifier():
        raise UserError(
            f"{path}: its rule cannot be named {wanted}; name the file with letters, "
            "digits and _ alone"
        )
    found = RULE.findall(path.read_text(encoding="utf-8"))
    for name in found:
        if not re.match(rf"{wanted}(_|$)", name):
            raise UserError(f"{path}: has a rule {name}; name it {wanted}")
        if name in taken:
            raise UserError(
                f"{path}: has a rule {name}, which {taken[name]} has, too; give one of "
                "them another name"
            )
    if wanted not in found:
        raise UserError(
            f"{path}: has no rule {wanted}; name its rule so, after the file"
        )
    return found


def caption(path: Path) -> str:
    """Return what a file says of itself first: its docstring; empty without one."""
    text = path.read_text(encoding="utf-8")
    found = re.match(r'\s*r?"""(.*?)"""', text, re.DOTALL)
    return inspect.cleandoc(found.group(1)) if found else ""


def divided(
    name: str, given: Mapping[str, Any], kind: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the runs that an ablation names and the contents of its table or figure.

    Args:
        name: the ablation's, for an error.
        given: both in one, as `ablation(...)` takes them in its file.
        kind: `table` or `figure`.

    Raises:
        UserError: a key that is neither.
    """
    specs.check_keys(f"ablation {name}", given, kind)
    runs = {key: value for key, value in given.items() if key in RUN_KEYS}
    contents = {key: value for key, value in given.items() if key not in RUN_KEYS}
    if kind == "table":
        contents = {"layout": "proportions", **contents}
    return runs, contents


def runs(config: Mapping[str, Any], path: Path) -> list[str]:
    """Return the runs that an ablation asks for, without Snakemake.

    Its statements before the rule are carried out, then the calls of `ablation` and
    `shown` in the rule.

    Raises:
        UserError: the file does something else, so that its runs are not known.
    """
    asked: list[Mapping[str, Any]] = []

    def ask(*_: Any, **given: Any) -> dict:
        asked.append({key: given[key] for key in RUN_KEYS if key in given})
        return {}

    text = path.read_text(encoding="utf-8")
    start = RULE.search(text)
    before, rule = text[: start.start()], text[start.start() :]
    space: dict[str, Any] = {"config": config, **dict.fromkeys(CALLS, ask)}
    try:
        exec(compile(before, str(path), "exec"), space)
        for call in _calls(rule):
            eval(call, space)
    except Exception as error:
        raise UserError(
            f"{path}: its runs cannot be counted without Snakemake ({error}); "
            f"`snakemake -n ablation_{path.stem}` counts them"
        ) from error
    found = [run for group in asked for run in plan.runs(config, **group)]
    return list(dict.fromkeys(found))


def _calls(text: str) -> Iterable[str]:
    """Yield the text of each call of `CALLS`, to its closing bracket."""
    tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
    lines = text.splitlines(keepends=True)
    offsets = [0]
    for line in lines:
        offsets.append(offsets[-1] + len(line))
    for number, token in enumerate(tokens[:-1]):
        if token.string not in CALLS or tokens[number + 1].string != "(":
            continue
        depth = 0
        for later in tokens[number + 1 :]:
            depth += (later.string == "(") - (later.string == ")")
            if not depth:
                begin = offsets[token.start[0] - 1] + token.start[1]
                yield text[begin : offsets[later.end[0] - 1] + later.end[1]]
                break
