"""Downloads from a local server that breaks, moves, lies and comes back."""

import hashlib
import http.server
from pathlib import Path

import pytest

from mlrpl.download.files import download
from mlrpl.errors import UserError
from support.bad_network import DATA, PAGE, Handler, Page, Server
from support.data_files import command

SHA256 = hashlib.sha256(DATA).hexdigest()
MD5 = hashlib.md5(DATA).hexdigest()


def fetch(server: Server, output: Path, *paths: str, **options) -> None:
    urls = [path if "://" in path else server.url(path) for path in paths]
    download(urls, output, **{"pause": 0.01, "timeout": 5, **options})


def refused(server: Server, output: Path, *paths: str, match: str, **options) -> str:
    """Assert one line that matches, and that the output is as it was."""
    before = output.read_bytes() if output.exists() else None
    with pytest.raises(UserError, match=match) as caught:
        fetch(server, output, *paths, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"{output}: not downloaded: ")
    assert message.endswith(
        "; try again later, give another address, or fetch it by hand and put it there"
    )
    assert (output.read_bytes() if output.exists() else None) == before
    return message


@pytest.mark.parametrize(
    "known", [{}, {"sha256": SHA256.upper()}, {"md5": MD5}, {"size": len(DATA)}]
)
def test_whole_file(known, server, tmp_path, capsys):
    server.pages["/a.zip"] = Page()
    output = tmp_path / "new/folder/a.zip"
    fetch(server, output, "/a.zip", **known)
    assert output.read_bytes() == DATA
    assert list(output.parent.iterdir()) == [output]
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "a.zip" in captured.err  # the progress bar
    fetch(server, output, "/a.zip", **known)
    assert server.pages["/a.zip"].asked == ([None] if known else [None, None])


@pytest.mark.parametrize("known", [{"sha256": SHA256}, {"md5": MD5}])
@pytest.mark.parametrize("ranges", [True, False])
def test_goes_on_after_a_break(ranges, known, server, tmp_path):
    page = server.pages["/a.zip"] = Page(ranges=ranges, breaks=[50_000, 70_001])
    fetch(server, tmp_path / "a.zip", "/a.zip", **known)
    assert (tmp_path / "a.zip").read_bytes() == DATA
    second = 50_000 + 70_001 if ranges else 70_001
    assert page.asked == [None, "bytes=50000-", f"bytes={second}-"]


def test_goes_on_in_a_later_call(server, tmp_path):
    page = server.pages["/a.zip"] = Page(breaks=[30_000])
    output = tmp_path / "a.zip"
    refused(
        *(server, output, "/a.zip"),
        match=r"/a\.zip breaks off after 30000 of 200000 bytes",
        sha256=SHA256,
        retries=0,
    )
    assert (tmp_path / "a.zip.part").read_bytes() == DATA[:30_000]
    fetch(server, output, "/a.zip", sha256=SHA256)
    assert page.asked == [None, "bytes=30000-"]
    assert output.read_bytes() == DATA
    assert not (tmp_path / "a.zip.part").exists()


def test_a_part_that_is_already_whole_is_taken(server, tmp_path):
    """The end of a call between the last byte and the rename."""
    page = server.pages["/a.zip"] = Page()
    part, output = tmp_path / "a.zip.part", tmp_path / "a.zip"
    part.write_bytes(DATA)
    fetch(server, output, "/a.zip", sha256=SHA256)
    assert page.asked == ["bytes=200000-"]
    output.rename(part)
    fetch(server, output, "/a.zip", sha256=SHA256, size=len(DATA))
    assert len(page.asked) == 1
    assert output.read_bytes() == DATA


@pytest.mark.parametrize("size", [1_000, 200_000, 300_000])
def test_bytes_of_another_file_are_dropped(size, server, tmp_path):
    server.pages["/a.zip"] = Page()
    (tmp_path / "a.zip.part").write_bytes(bytes(size))
    fetch(server, tmp_path / "a.zip", "/a.zip", sha256=SHA256)
    assert (tmp_path / "a.zip").read_bytes() == DATA


def test_without_a_hash_only_the_same_file_is_continued(server, tmp_path):
    """A part of unknown origin is not; one of this call is, by the server's tag."""
    page = server.pages["/a.zip"] = Page(breaks=[50_000])
    (tmp_path / "a.zip.part").write_bytes(bytes(9_000))
    fetch(server, tmp_path / "a.zip", "/a.zip", size=len(DATA))
    assert page.asked == [None, None]  # no tag: from the start again
    tagged = server.pages["/b.zip"] = Page(breaks=[50_000], etag='"one"')
    fetch(server, tmp_path / "b.zip", "/b.zip")
    assert tagged.asked == [None, "bytes=50000-"]
    weak = server.pages["/c.zip"] = Page(breaks=[50_000], etag='W/"one"')
    fetch(server, tmp_path / "c.zip", "/c.zip")
    assert weak.asked == [None, None]
    for name in ("a", "b", "c"):
        assert (tmp_path / f"{name}.zip").read_bytes() == DATA


def test_the_next_address_is_tried(server, tmp_path, capsys):
    server.pages["/page.zip"] = Page(PAGE)
    server.pages["/short.zip"] = Page(DATA[:-1])
    server.pages["/other.zip"] = Page(DATA[::-1])
    server.pages["/good.zip"] = Page()
    output = tmp_path / "a.zip"
    bad = ("/absent.zip", "/page.zip", "/short.zip", "/other.zip")
    fetch(server, output, *bad, "/good.zip", sha256=SHA256, size=len(DATA))
    assert output.read_bytes() == DATA
    errors = capsys.readouterr().err
    for path in bad:
        assert f"{server.url(path)} " in errors
        assert len(server.pages.get(path, Page(asked=[None])).asked) == 1


def test_a_mirror_goes_on_where_the_first_stopped(server, tmp_path):
    server.pages["/a.zip"] = Page(breaks=[60_000], statuses=[200, 503, 503])
    server.pages["/b.zip"] = Page()
    fetch(server, tmp_path / "a.zip", "/a.zip", "/b.zip", sha256=SHA256, retries=1)
    assert server.pages["/b.zip"].asked == ["bytes=60000-"]
    assert (tmp_path / "a.zip").read_bytes() == DATA


def test_server_errors_are_tried_again(server, tmp_path):
    page = server.pages["/a.zip"] = Page(statuses=[503, 429, 500])
    fetch(server, tmp_path / "a.zip", "/a.zip", retries=3)
    assert len(page.asked) == 4
    page.statuses = [503] * 3
    refused(server, tmp_path / "b", "/a.zip", match="zip answers 503", retries=2)
    assert len(page.asked) == 7


@pytest.mark.parametrize("exists", [False, True])
def test_refusals_name_every_address_and_keep_what_is_there(exists, server, tmp_path):
    output = tmp_path / "a.zip"
    if exists:
        output.write_bytes(b"of old")
    server.pages["/page"] = Page(b"\n  " + PAGE)
    server.pages["/gone"] = Page(status=410)
    server.pages["/empty"] = Page(b"")
    other = server.pages["/other"] = Page(DATA[::-1])
    found = hashlib.sha256(DATA[::-1]).hexdigest()
    message = refused(
        *(server, output, "/absent", "/gone", "/page", "/empty", "/other"),
        match="/absent answers 404 Not Found; ",
        sha256=SHA256,
    )
    assert message == (
        f"{output}: not downloaded: {server.url('/absent')} answers 404 Not Found; "
        f"{server.url('/gone')} answers 410 Gone; {server.url('/page')} answers with a "
        f"web page, not with the file; {server.url('/empty')} answers with an empty "
        f"file; {server.url('/other')} has sha256 {found}, not {SHA256}; try again "
        "later, give another address, or fetch it by hand and put it there"
    )
    refused(server, output, "/other", match=f"has md5 .*, not {MD5}", md5=MD5)
    asked = len(other.asked)
    refused(server, output, "/other", match="has 200000 bytes, not 5", size=5)
    assert len(other.asked) == asked + 1
    assert not (tmp_path / "a.zip.part").exists()


def test_no_server_and_no_address(server, tmp_path):
    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as closed:
        port = closed.server_port
    url = f"http://127.0.0.1:{port}/a.zip"
    message = refused(server, tmp_path / "a", url, match="cannot be reach", retries=1)
    assert url in message
    with pytest.raises(UserError, match=r"^file:///etc/hosts: is not an address; give"):
        download(["file:///etc/hosts"], tmp_path / "a")
    for bad in ({"sha256": SHA256[1:]}, {"md5": SHA256}, {"md5": "g" * 32}):
        name, value = next(iter(bad.items()))
        with pytest.raises(UserError, match=f"^{name}: '{value}' is not a hash; give "):
            download([url], tmp_path / "a", **bad)
    assert not list(tmp_path.iterdir())


def test_a_silent_server_runs_into_the_timeout(server, tmp_path):
    page = server.pages["/a.zip"] = Page(waits_after=5)
    refused(
        *(server, tmp_path / "a.zip", "/a.zip"),
        match="breaks off .*timed out",
        timeout=0.6,
        retries=0,
        sha256=SHA256,
    )
    assert (tmp_path / "a.zip.part").read_bytes() == DATA[:5]
    page.waits_after = 5
    refused(
        *(server, tmp_path / "a.zip", "/a.zip"),
        match="breaks off .*timed out",
        timeout=0.6,
        retries=0,
        sha256=SHA256,
    )
    assert page.asked == [None, "bytes=5-"]
    assert (tmp_path / "a.zip.part").read_bytes() == DATA[:10]


def test_a_folder_that_cannot_be_written(server, tmp_path):
    server.pages["/a.zip"] = Page()
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"cannot be written .*; something else"):
        fetch(server, tmp_path / "file/a.zip", "/a.zip")
    (tmp_path / "a.zip").mkdir()
    with pytest.raises(UserError, match="cannot be written"):
        fetch(server, tmp_path / "a.zip", "/a.zip")


def test_command(server, repository, tmp_path):
    server.pages["/a.zip"] = Page(breaks=[10_000])
    output = tmp_path / "a.zip"
    arguments = ["download", "--output", output, "--retries", 1, "--url"]
    urls = [server.url("/absent"), server.url("/a.zip")]
    wanted = ["--sha256", SHA256, "--size", len(DATA), "--md5", MD5]
    done = command(repository, *arguments, *urls, *wanted)
    assert done.returncode == 0, done.stderr
    assert output.read_bytes() == DATA
    output.unlink()
    done = command(repository, *arguments, urls[0])
    assert done.returncode == 1
    assert done.stderr == (
        f"mlrpl download: error: {output}: not downloaded: {urls[0]} answers 404 Not "
        "Found; try again later, give another address, or fetch it by hand and put it "
        "there\n"
    )
    assert not list(tmp_path.iterdir())
