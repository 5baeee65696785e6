"""Where the independent reference data lie, when they are present; a local server."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.bad_network import Server, serve

REPOSITORY = Path(__file__).resolve().parent.parent
# Files that take longest, the longest first: one that starts last leaves cores idle.
LONGEST = (
    *("workflow/test_demo.py", "workflow/test_kills.py", "cluster/test_slurm_ends.py"),
    *("workflow/test_photos.py", "methods/test_conformance.py"),
    *("workflow/test_pages.py", "workflow/test_ablations.py"),
    *("workflow/test_places.py", "workflow/test_own_data.py", "bench/test_bench.py"),
    *("workflow/test_rerun.py", "workflow/test_paper_plan.py", "data/test_coco.py"),
    *("workflow/test_examples.py", "training/test_checkpoints.py"),
)


def _folder(variable: str, default: str) -> Path:
    folder = Path(os.environ.get(variable, REPOSITORY.parent / "shared" / default))
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there; set {variable} to the folder that has it")
    return folder


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One process more than there are cores: some tests wait."""
    return (os.cpu_count() or 1) + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests of the longest files first."""
    ranks = {REPOSITORY / "tests" / name: rank for rank, name in enumerate(LONGEST)}
    items.sort(key=lambda item: ranks.get(item.path, len(ranks)))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what is marked `gpu` where there is no CUDA device."""
    if item.get_closest_marker("gpu"):
        import torch

        if not torch.cuda.is_available():
            pytest.skip("no CUDA device")


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of this checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def oracles() -> Path:
    """Independent reference data: labels, masks, vectors, predictions."""
    return _folder("MLRPL_ORACLES", "oracles")


@pytest.fixture(scope="session")
def photos() -> Path:
    """Real photographs and a small real image-text model."""
    return _folder("MLRPL_PHOTOS", "photos")


@pytest.fixture
def server(monkeypatch) -> Iterator[Server]:
    """A local HTTP server that breaks, moves, lies and comes back."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    with serve() as running:
        yield running


@pytest.fixture(scope="module")
def one_thread():
    """Run torch on one thread: small models are faster so, and beside other tests."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def inference(one_thread):
    """Run torch on one thread and without gradients."""
    import torch

    with torch.no_grad():
        yield
