"""Downloads through a proxy, and past it."""

import os
import subprocess

from support.bad_network import DATA, Page, serve
from support.downloads import MLRPL, sha256


def run_command(repository, output, url, environment, *arguments):
    known = ["--sha256", sha256(DATA), "--timeout", 5]
    return subprocess.run(
        map(str, [*MLRPL, "--output", output, "--url", url, *known, *arguments]),
        cwd=repository / "workflow",
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )


def test_proxies(repository, server, tmp_path):
    """Of names that only the proxy knows; and none for the hosts of `no_proxy`."""
    far = server.pages["http://far.invalid/a"] = Page(breaks=[10_000])
    proxy = {"http_proxy": server.url(""), "https_proxy": server.url("")}
    with serve() as near:
        near.pages["/a"] = Page()
        done = run_command(repository, tmp_path / "a", "http://far.invalid/a", proxy)
        assert done.returncode == 0, done.stderr
        assert far.asked == [None, "bytes=10000-"]
        exempt = {**proxy, "no_proxy": "127.0.0.1"}
        done = run_command(repository, tmp_path / "b", near.url("/a"), exempt)
        assert done.returncode == 0, done.stderr
        assert near.pages["/a"].asked == [None]
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes() == DATA
    url = "https://far.invalid/a"
    done = run_command(repository, tmp_path / "c", url, proxy, "--retries", 0)
    assert done.returncode == 1
    assert server.connected == ["far.invalid:443"]
    [line] = done.stderr.splitlines()
    assert "403 Forbidden" in line
