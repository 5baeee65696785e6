"""The folder that the doctor examines."""

import pytest


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
