"""What lies in folders and is no file, cannot be listed, or cannot be read."""

import multiprocessing
import os

import pytest

from mlrpl.archives import folder
from mlrpl.archives.formats import open_archive
from mlrpl.archives.names import Names
from mlrpl.errors import UserError
from support.data_files import fails


def test_a_pipe_or_a_device_is_no_archive(tmp_path):
    """Nothing waits for what nobody writes."""
    os.mkfifo(tmp_path / "x.zip")
    fails(open_archive, tmp_path / "x.zip", match="is a named pipe or a device and no")
    fails(open_archive, "/dev/zero", match="/dev/zero: is a named pipe or a device")


def test_a_pipe_or_a_device_in_a_folder_is_not_read(tmp_path):
    os.mkfifo(tmp_path / "p.jpg")
    (tmp_path / "z.jpg").symlink_to("/dev/zero")
    with open_archive(tmp_path) as archive:
        for name in ("p.jpg", "z.jpg"):
            assert name not in archive
            fails(archive.read, name, match=f"holds no {name}; ")

    def read():  # if it became one after it was looked at
        archive.__class__.__contains__ = lambda *arguments: True
        fails(archive.read, "p.jpg", match="cannot be read .*; check the file")

    process = multiprocessing.get_context("fork").Process(target=read)
    process.start()
    process.join(20)
    assert process.exitcode == 0


def test_names_that_no_file_can_have_are_not_there(tmp_path):
    with open_archive(tmp_path) as archive:
        for name in ("a" * 5000, "a\0b"):
            assert name not in archive


def test_folders_that_cannot_be_listed_are_told(tmp_path, monkeypatch):
    (tmp_path / "shut").mkdir()
    (tmp_path / "a.jpg").touch()
    walk = os.walk

    def refused(top, onerror, **options):
        for place, folders, files in walk(top, **options):
            if place.endswith("shut"):
                onerror(PermissionError(13, "Permission denied", place))
            else:
                yield place, folders, files

    monkeypatch.setattr(folder.os, "walk", refused)
    with open_archive(tmp_path) as archive:
        names = Names.of(archive)
    assert names.find("a.jpg") == "a.jpg"
    for name in ("shut/b.jpg", "c.png"):
        assert names.hint(name) == ", where shut cannot be listed (Permission denied)"


def test_an_error_of_the_system_is_no_damage(tmp_path):
    """Only damage is a reason to delete a file."""
    (tmp_path / "x.zip").write_bytes(b"PK\x03\x04")
    archive = open_archive(tmp_path / "x.zip")
    for error, words in (
        (
            OSError(5, "Input/output error"),
            "cannot be read (Input/output error); it need",
        ),
        (
            PermissionError(13, "Permission denied"),
            "cannot be read (Permission denied)",
        ),
        (MemoryError(), "no memory is left"),
    ):
        assert words in str(archive._failed(error, "a.jpg"))
        assert "delete" not in str(archive._failed(error))
    assert "delete it" in str(archive._failed(OSError("bad"), "a.jpg"))
    assert isinstance(archive._failed(OSError("bad")), UserError)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_files_without_permission(tmp_path):
    (tmp_path / "a.zip").write_bytes(b"PK\x03\x04")
    (tmp_path / "a.zip").chmod(0)
    fails(open_archive, tmp_path / "a.zip", match=r"cannot be read \(Permission denied")
