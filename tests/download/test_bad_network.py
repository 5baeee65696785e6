"""Every failure of the network ends in the whole file or one line; nothing is lost."""

import hashlib
import os
from pathlib import Path

import numpy as np
import pooch
import pytest

from mlrpl.download.files import download
from mlrpl.download.resume import Broken, ResumingDownloader
from mlrpl.errors import UserError
from support.bad_network import DATA, PAGE, Handler, Page, drip, serve
from support.downloads import QUICK, one_line, sha256


@pytest.fixture(
    scope="module",
    params=[
        "coco-mini/annotations_trainval2014.zip",
        "coco-mini/val2014.zip",
        "voc-mini/VOCtest_06-Nov-2007.tar",
    ],
)
def archive(request, repository) -> bytes:
    """A small real archive, or as many bytes if it is not there."""
    default = repository.parent / "shared/photos"
    path = Path(os.environ.get("MLRPL_PHOTOS", default)) / request.param
    if path.is_file():
        return path.read_bytes()
    return np.random.RandomState(len(request.param)).bytes(1_000_003)


@pytest.mark.parametrize("seed", range(3))
def test_cut_at_random_bytes_within_one_run(seed, archive, server, tmp_path):
    cuts = np.random.RandomState(seed).randint(1, len(archive) // 4, size=3)
    page = server.pages["/a"] = Page(archive, breaks=cuts.tolist())
    output = tmp_path / "a"
    download([server.url("/a")], output, sha256=sha256(archive), **QUICK)
    assert output.read_bytes() == archive
    assert page.asked == [None, *(f"bytes={start}-" for start in np.cumsum(cuts))]


@pytest.mark.parametrize("seed", range(3, 6))
def test_cut_at_random_bytes_one_run_each(seed, archive, server, tmp_path):
    cuts = np.random.RandomState(seed).randint(1, len(archive) // 4, size=3)
    page = server.pages["/a"] = Page(archive, breaks=cuts.tolist())
    output, known = tmp_path / "a", {"md5": hashlib.md5(archive).hexdigest()}
    for have in np.cumsum(cuts):
        message = one_line(server.url("/a"), output, **known)
        assert f"breaks off after {have} of {len(archive)} bytes" in message
        assert (tmp_path / "a.part").read_bytes() == archive[:have]
        assert not output.exists()
    download([server.url("/a")], output, **known, **QUICK)
    assert output.read_bytes() == archive
    assert page.asked == [None, *(f"bytes={start}-" for start in np.cumsum(cuts))]


def send(status: int, headers: dict[str, object], body: bytes = b""):
    return lambda handler: handler.answer(status, headers, body)


def no_answer(handler: Handler) -> None:
    handler.close_connection = True


def no_http(handler: Handler) -> None:
    handler.wfile.write(b"\x00\x01 not HTTP \r\n\r\n")


def endless_headers(handler: Handler) -> None:
    handler.wfile.write(b"HTTP/1.0 200 OK\r\nX: ")
    drip(handler, b"x")


def slow_body(handler: Handler) -> None:
    asked = handler.headers["Range"].removeprefix("bytes=").removesuffix("-")
    span = f"bytes {asked}-{len(DATA) - 1}/{len(DATA)}"
    handler.answer(206, {"Content-Range": span})
    drip(handler, DATA[int(asked) : int(asked) + 1])


def endless_body(handler: Handler) -> None:
    handler.answer(200, {})
    drip(handler, bytes(100_000))


SHORT = {"timeout": 0.6}
LENGTH = {"Content-Length": len(DATA)}


# what the second of three runs meets, the first having fetched 70,001 bytes
@pytest.mark.parametrize(
    ("answers", "options", "fault"),
    [
        ([send(404, {})], {}, "answers 404 Not Found"),
        ([send(500, {})], {}, "answers 500 Internal Server Error"),
        ([send(416, {})] * 2, {}, "answers 416 Requested Range Not Satisfiable"),
        ([send(302, {"Location": "/gone"})], {}, "answers 404 Not Found"),
        ([send(302, {"Location": "file:///etc/hosts"})], {}, "is not allowed"),
        ([send(302, {"Location": "/a"})] * 99, {}, "infinite loop. The last"),
        ([send(200, {}, PAGE)], {}, "answers with a web page, not with the file"),
        ([send(200, LENGTH, PAGE)], {}, "answers with a web page, not with the file"),
        ([send(200, {})], {}, "answers with an empty file"),
        (
            [send(200, {"Content-Length": 5}, b"short")],
            {"size": len(DATA)},
            "has 5 bytes, not 200000",
        ),
        (
            [send(206, {"Content-Range": "bytes 70001-99999/100000"}, b"other")],
            {"size": len(DATA)},
            "has 100000 bytes, not 200000",
        ),
        (
            [send(206, {"Content-Range": "bytes 5-9/10"}, b"other"), send(404, {})],
            {},
            "answers 404 Not Found",
        ),
        ([no_answer], {}, "breaks off (Remote end closed connection without"),
        ([no_http], {}, "breaks off ("),
        ([endless_headers], SHORT, "does not answer within 1.8 seconds"),
        ([slow_body], SHORT, "sends less than 1024 bytes a second"),
    ],
)
def test_no_failure_costs_the_bytes_at_hand(answers, options, fault, server, tmp_path):
    page = server.pages["/a"] = Page(breaks=[70_001])
    output, part = tmp_path / "a", tmp_path / "a.part"
    known = {"sha256": sha256(DATA)}
    one_line(server.url("/a"), output, **known)
    page.instead = list(answers)
    message = one_line(server.url("/a"), output, **known, **options)
    assert f"{server.url('/a')} " in message
    assert fault in message
    assert page.asked[1] == "bytes=70001-"
    have = part.stat().st_size
    assert have == 70_001 or (have > 70_001 and answers == [slow_body])
    assert part.read_bytes()[:70_001] == DATA[:70_001]
    os.truncate(part, 70_001)  # the slow body is not the true one
    page.instead, before = [], len(page.asked)
    download([server.url("/a")], output, **known, **QUICK)
    assert page.asked[before:] == ["bytes=70001-"]
    assert output.read_bytes() == DATA
    assert not part.exists()


def test_an_interrupted_check_costs_nothing(server, tmp_path, monkeypatch):
    """The hash of 13 GB takes a minute: time for a second thought or a time limit."""
    page = server.pages["/a"] = Page()
    known = {"sha256": sha256(DATA), "size": len(DATA)}

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(pooch, "file_hash", interrupt)
        with pytest.raises(KeyboardInterrupt):
            download([server.url("/a")], tmp_path / "a", **known, **QUICK)
    assert [path.name for path in tmp_path.iterdir()] == ["a.part"]
    download([server.url("/a")], tmp_path / "a", **known, **QUICK)
    assert page.asked == [None]
    assert (tmp_path / "a").read_bytes() == DATA


@pytest.mark.parametrize("misfit", [416, 206])
def test_a_server_that_cannot_continue_sends_the_whole(misfit, server, tmp_path):
    page = server.pages["/a"] = Page(breaks=[70_001])
    known = {"sha256": sha256(DATA)}
    one_line(server.url("/a"), tmp_path / "a", **known)
    page.instead = [send(misfit, {"Content-Range": "bytes 0-1/2"}, b"no")]
    download([server.url("/a")], tmp_path / "a", **known, **QUICK, retries=0)
    assert page.asked == [None, "bytes=70001-", None]
    assert (tmp_path / "a").read_bytes() == DATA


def test_an_ignored_range_and_wrong_bytes_of_the_right_length(server, tmp_path):
    page = server.pages["/a"] = Page(breaks=[70_001])
    output, known = tmp_path / "a", {"sha256": sha256(DATA), "size": len(DATA)}
    one_line(server.url("/a"), output, **known)
    page.ranges, page.data = False, DATA[::-1]
    message = one_line(server.url("/a"), output, **known)
    assert f"has sha256 {sha256(DATA[::-1])}, not {sha256(DATA)}" in message
    assert list(tmp_path.iterdir()) == []
    page.data, page.breaks = DATA, [5_000]
    one_line(server.url("/a"), output, **known)
    download([server.url("/a")], output, **known, **QUICK)
    assert page.asked == [None, "bytes=70001-", None, "bytes=5000-"]
    assert output.read_bytes() == DATA


def test_more_bytes_than_the_file_has_are_not_written(server, tmp_path):
    page = server.pages["/a"] = Page(instead=[endless_body])
    known = {"sha256": sha256(DATA), "size": len(DATA)}
    message = one_line(server.url("/a"), tmp_path / "a", **known)
    assert "has more than 200000 bytes" in message
    assert (tmp_path / "a.part").stat().st_size <= len(DATA)
    # wrong bytes at hand are found out by the hash
    download([server.url("/a")], tmp_path / "a", **known, **QUICK)
    assert (tmp_path / "a").read_bytes() == DATA
    assert page.asked[-1] is None


def test_an_end_without_a_length_is_a_break_if_the_size_is_known(server, tmp_path):
    page = server.pages["/a"] = Page(instead=[send(200, {}, DATA[:9_000])])
    known = {"sha256": sha256(DATA), "size": len(DATA)}
    download([server.url("/a")], tmp_path / "a", **known, **QUICK)
    assert page.asked == [None, "bytes=9000-"]
    assert (tmp_path / "a").read_bytes() == DATA


def test_redirects_keep_the_range(server, tmp_path):
    """Within a host and to another one, as archives move to a content network."""
    with serve() as other:
        to = {"Location": other.url("/b", host="localhost")}
        moved = server.pages["/moved"] = Page(instead=[send(302, to)] * 2)
        hops = {"Location": "/moved"}
        page = server.pages["/a"] = Page(instead=[send(301, hops), send(307, hops)])
        target = other.pages["/b"] = Page(breaks=[33_333])
        download([server.url("/a")], tmp_path / "a", sha256=sha256(DATA), **QUICK)
    asked = [None, "bytes=33333-"]
    assert (page.asked, moved.asked, target.asked) == (asked, asked, asked)
    assert (tmp_path / "a").read_bytes() == DATA


@pytest.mark.parametrize("url", ["http://[::1/a", "http://.example/a", "http://a:b/"])
def test_an_address_that_is_none(url, tmp_path):
    message = one_line(url, tmp_path / "a")
    assert f"{url} is not a valid address" in message or f"{url} breaks off" in message


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), 1e9])
def test_timeout_out_of_range(timeout, tmp_path):
    with pytest.raises(UserError, match=r"^timeout: .* is out of range; give seconds"):
        download(["http://127.0.0.1/"], tmp_path / "a", timeout=timeout)


def test_the_downloader_serves_pooch(server, tmp_path):
    """pooch checks the hash and names the file; the downloader goes on after breaks."""
    page = server.pages["/a"] = Page(breaks=[40_000, 1_000])
    downloader = ResumingDownloader(hashed=True, pause=0.01)
    path = pooch.retrieve(
        server.url("/a"),
        f"sha256:{sha256(DATA)}",
        fname="a",
        path=tmp_path,
        downloader=downloader,
    )
    assert Path(path).read_bytes() == DATA
    assert page.asked == [None, "bytes=40000-", "bytes=41000-"]
    page.breaks = [1]
    with pytest.raises(Broken):
        ResumingDownloader(retries=0)(server.url("/a"), tmp_path / "b", None)
