"""Answers that nobody asked for, versions that do not belong together, a power cut."""

import os
import stat

import pytest

from mlrpl.download.files import download
from support.bad_network import DATA, Page
from support.downloads import QUICK, one_line, sha256


def send(status: int, headers: dict[str, object], body: bytes = b""):
    return lambda handler: handler.answer(status, headers, body)


LENGTH = {"Content-Length": 5}
UNASKED = {
    "a coding": (
        send(200, {"Content-Encoding": "gzip", **LENGTH}, b"\x1f\x8b..."),
        "gz",
    ),
    "a part": (send(206, {"Content-Range": "bytes 0-4/9", **LENGTH}, b"12345"), "206"),
    "something without a range": (send(206, LENGTH, b"12345"), "206"),
    "another success": (send(203, LENGTH, b"12345"), "203"),
}


@pytest.mark.parametrize("name", UNASKED)
def test_what_was_not_asked_for_is_not_taken(server, tmp_path, name):
    answer, expected = UNASKED[name]
    server.pages["/a"] = Page(instead=[answer])
    said = one_line(server.url("/a"), tmp_path / "a")
    assert expected in said
    assert os.listdir(tmp_path) == []


def test_identity_by_name_is_no_coding(server, tmp_path):
    headers = {"Content-Encoding": "identity", **LENGTH}
    server.pages["/a"] = Page(instead=[send(200, headers, b"12345")])
    download([server.url("/a")], tmp_path / "a", **QUICK)
    assert (tmp_path / "a").read_bytes() == b"12345"


@pytest.mark.parametrize("key", ["ETag", "Last-Modified"])
def test_halves_of_two_versions_are_not_joined(server, tmp_path, key):
    """A server that does not heed If-Range sends the rest of its new version."""
    new = bytes(reversed(DATA))
    half = len(DATA) // 2
    span = f"bytes {half}-{len(new) - 1}/{len(new)}"
    page = server.pages["/a"] = Page(new, etag='"new"')
    page.instead = [
        send(200, {key: '"old"', "Content-Length": len(DATA)}, DATA[:half]),
        send(206, {key: '"new"', "Content-Range": span}, new[half:]),
    ]
    download([server.url("/a")], tmp_path / "a", **QUICK)
    assert (tmp_path / "a").read_bytes() == new
    assert page.asked == [None, f"bytes={half}-", None]


def test_a_reason_with_a_terminals_codes_is_plain(server, tmp_path, capfd):
    def odd(handler):
        handler.send_response(404, "\x1b[31mred\x1b[0m \x1b]0;title\x07gone")
        handler.end_headers()

    server.pages["/a"], server.pages["/b"] = Page(instead=[odd]), Page()
    urls = [server.url("/a"), server.url("/b")]
    download(urls, tmp_path / "a", **QUICK)
    said = capfd.readouterr().err
    assert "answers 404 red gone; trying the next address" in said
    assert "\x1b" not in said


def test_the_file_is_on_the_disk_before_it_gets_its_name(server, tmp_path, monkeypatch):
    calls = []
    replace, fsync = os.replace, os.fsync

    def synchronised(number):
        folder = stat.S_ISDIR(os.fstat(number).st_mode)
        calls.append("folder" if folder else "file")
        fsync(number)

    monkeypatch.setattr(os, "fsync", synchronised)
    monkeypatch.setattr(
        os, "replace", lambda *names: (calls.append("name"), replace(*names))
    )
    server.pages["/a"] = Page()
    download([server.url("/a")], tmp_path / "a", sha256=sha256(DATA), **QUICK)
    assert calls == ["file", "name", "folder"]


def test_an_output_that_is_a_folder_is_one_line(server, tmp_path):
    server.pages["/a"] = Page()
    (tmp_path / "a").mkdir()
    said = one_line(server.url("/a"), tmp_path / "a")
    assert "cannot be written (Is a directory)" in said
