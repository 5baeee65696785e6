"""pytest plugin: the largest difference to each file of the public code's numbers.

    PYTHONPATH=tests python -m pytest -p support.oracle_differences tests/methods

prints a Markdown table after the summary: of each file the number of arrays that tests
compared with it, the largest absolute difference, and this as a share of the array's
largest value, where that is above 1. Arrays of other origin that a test compares count
too.
"""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

FOLDER = "methods"
opened: set[str] = set()
differences: dict[str, float] = defaultdict(float)
relative: dict[str, float] = defaultdict(float)
compared: dict[str, int] = defaultdict(int)


def _watch_files() -> None:
    load = np.load

    def watched(file, *args, **kwargs):
        if isinstance(file, str | Path) and Path(file).parent.name == FOLDER:
            opened.add(Path(file).stem)
        return load(file, *args, **kwargs)

    np.load = watched


def _pairs(ours, theirs) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The arrays of two collections, or the two arrays."""
    if isinstance(theirs, dict):
        ours, theirs = [ours[k] for k in theirs], list(theirs.values())
    if isinstance(theirs, list | tuple):
        for pair in zip(ours, theirs, strict=True):
            yield from _pairs(*pair)
    else:
        both = [torch.as_tensor(x).detach().cpu().numpy() for x in (ours, theirs)]
        if both[0].size:
            yield both[0].astype(np.float64), both[1].astype(np.float64)


def _note(ours: np.ndarray, theirs: np.ndarray) -> None:
    same = (ours == theirs) | (np.isnan(ours) & np.isnan(theirs))
    gap = np.where(same, 0.0, np.abs(ours - theirs)).max()
    size = np.abs(theirs[np.isfinite(theirs)]).max(initial=1.0)
    for file in opened:
        compared[file] += 1
        differences[file] = max(differences[file], gap)
        relative[file] = max(relative[file], gap / size)


def _watch(module, name: str) -> None:
    compare = getattr(module, name)

    def watched(ours, theirs, *args, **kwargs):
        compare(ours, theirs, *args, **kwargs)
        for pair in _pairs(ours, theirs) if opened else ():
            _note(*pair)

    setattr(module, name, watched)


_watch_files()
_watch(torch.testing, "assert_close")
_watch(np.testing, "assert_allclose")
_watch(np.testing, "assert_array_equal")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    """What a test compares belongs to the files that it opens."""
    opened.clear()
    return (yield)


def pytest_terminal_summary(terminalreporter):
    for line in (
        "| file | comparisons | largest difference | as a share |",
        "|---|---|---|---|",
        *(
            f"| `{file}` | {compared[file]} | {gap:.0e} | {relative[file]:.0e} |"
            for file, gap in sorted(differences.items())
        ),
    ):
        terminalreporter.write_line(line)
