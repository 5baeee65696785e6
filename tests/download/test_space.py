"""A download that does not fit ends before its first byte, in one line."""

import shutil
from collections import namedtuple

import pytest

from mlrpl.download.files import download
from support.bad_network import DATA, Page
from support.data_files import command
from support.downloads import QUICK, one_line, sha256

Usage = namedtuple("Usage", "total used free")


def set_free(monkeypatch, free: int, total: int = 10**9) -> None:
    usage = Usage(total, total - free, free)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)


@pytest.mark.parametrize("size", [None, len(DATA)])
def test_space_is_checked_before_the_first_byte(size, server, tmp_path, monkeypatch):
    page, output = Page(), tmp_path / "a"
    server.pages["/a"] = page
    part = tmp_path / "a.part"
    part.write_bytes(DATA[:150_000])
    output.write_bytes(b"of old")
    known = {"sha256": sha256(DATA), "size": size}
    set_free(monkeypatch, 49_999)
    assert one_line(server.url("/a"), output, **known) == (
        f"{output}: needs 50000 bytes more, and {tmp_path} has 49999 free; free some "
        "space there, or choose a folder on another disk"
    )
    assert page.asked == ([] if size else ["bytes=150000-"])
    assert output.read_bytes() == b"of old"
    assert part.read_bytes() == DATA[:150_000]
    set_free(monkeypatch, 50_000)
    page.ranges = False  # the bytes at hand make room for the whole
    download([server.url("/a")], output, **known, **QUICK)
    assert output.read_bytes() == DATA


def test_a_disk_of_unknown_size_is_tried(server, tmp_path, monkeypatch):
    server.pages["/a"] = Page()
    set_free(monkeypatch, 0, total=0)
    download([server.url("/a")], tmp_path / "a", size=len(DATA), **QUICK)
    assert (tmp_path / "a").read_bytes() == DATA


def test_no_space_is_one_line_of_the_command(repository, server, tmp_path):
    """On the real disk, which has less than an exabyte."""
    server.pages["/a"] = Page()
    arguments = ["download", "--output", tmp_path / "a", "--url", server.url("/a")]
    done = command(repository, *arguments, "--size", 10**18)
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert f"error: {tmp_path / 'a'}: needs {10**18} bytes more, and " in line
    assert server.pages["/a"].asked == []
    assert list(tmp_path.iterdir()) == []
