"""The small workflow, run once for the files here that change it."""

import fcntl
import os
from collections.abc import Iterator

import pytest

from support.small_workflow import Finished


@pytest.fixture(scope="session")
def finished(repository, tmp_path_factory) -> Finished:
    """A copy of this process's own; one process of xdist's has run it for all."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    made, done = shared / "small workflow", shared / "small workflow has run"
    with (shared / "small workflow.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            Finished(repository, made)
            done.touch()
    folder = tmp_path_factory.mktemp("small") / "a folder"
    return Finished.copy(made, folder)


@pytest.fixture
def changed(finished) -> Iterator[Finished]:
    """The finished workflow; config and edited files are put back afterwards."""
    folder = finished.folder / "workflow"
    kept = {
        path: path.read_text()
        for ending in ("*.py", "*.yaml")
        for path in folder.rglob(ending)
    }
    yield finished
    finished.overlay({})
    for path, text in kept.items():
        if path.read_text() != text:
            path.write_text(text)
