"""The small workflow, run once for the files here that change it."""

from collections.abc import Iterator

import pytest

from support.small_workflow import Finished


@pytest.fixture(scope="session")
def finished(repository, tmp_path_factory) -> Finished:
    return Finished(repository, tmp_path_factory.mktemp("small") / "a folder")


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
