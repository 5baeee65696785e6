"""The folder that the doctor examines."""

import pytest

from mlrpl.methods import counting

counted: dict = {}


@pytest.fixture(autouse=True)
def counted_once(monkeypatch):
    """Count a method once for all tests; return what counts it each time."""
    count = counting.count

    def remembered(options, shapes):
        key = (tuple(options.items()), shapes)
        if counted.get(key) is None:  # without torch there is none
            counted[key] = count(options, shapes)
        return counted[key]

    monkeypatch.setattr(counting, "count", remembered)
    return count


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch, repository):
    """Work in a folder that holds the project's configuration and nothing else."""
    folder = tmp_path / "work"
    (folder / "workflow").mkdir(parents=True)
    (folder / "config.yaml").write_text((repository / "config.yaml").read_text())
    (folder / "profiles").symlink_to(repository / "profiles")
    (folder / "workflow/mlrpl").symlink_to(repository / "workflow/mlrpl")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    return folder
