"""A local HTTP server that plays the bad network, and is a proxy if asked as one."""

import contextlib
import http.server
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

DATA = np.random.RandomState(11).bytes(200_000)
PAGE = b"<!DOCTYPE html>\n<html><body>Too many requests</body></html>"


@dataclass
class Page:
    """What the server has at one path, and what was asked of it."""

    data: bytes = DATA
    status: int = 200
    ranges: bool = True
    etag: str = ""
    # bytes after which each of the next answers breaks off; then whole answers
    breaks: list[int] = field(default_factory=list)
    # statuses of the next answers; then `status`
    statuses: list[int] = field(default_factory=list)
    # what the next answers do instead; then the above
    instead: list[Callable[["Handler"], None]] = field(default_factory=list)
    # in the next answer, bytes before the wait for the event, which ends all waits
    waits_after: int | None = None
    event: threading.Event = field(default_factory=threading.Event)
    asked: list[str | None] = field(default_factory=list)


class Handler(http.server.BaseHTTPRequestHandler):
    server: "Server"

    def do_GET(self):
        # asked as a proxy, the path is a whole address
        page = self.server.pages.get(self.path, Page(status=404))
        span = self.headers.get("Range")
        page.asked.append(span)
        if page.instead:
            page.instead.pop(0)(self)
            return
        status = page.statuses.pop(0) if page.statuses else page.status
        if status != 200:
            self.send_error(status)
            return
        start = int(re.fullmatch(r"bytes=(\d+)-", span)[1]) if span else 0
        match = self.headers.get("If-Range", page.etag) == page.etag
        if not page.ranges or not match:
            start = 0
        if start and start >= len(page.data):
            self.answer(416, {"Content-Range": f"bytes */{len(page.data)}"})
            return
        headers = {"Content-Length": len(page.data) - start}
        if start:
            end = len(page.data) - 1
            headers["Content-Range"] = f"bytes {start}-{end}/{end + 1}"
        if page.etag:
            headers["ETag"] = page.etag
        body = page.data[start:][: page.breaks.pop(0) if page.breaks else None]
        wait, page.waits_after = page.waits_after, None
        self.answer(206 if start else 200, headers, body[:wait])
        if wait is not None:
            page.event.wait(30)
            with contextlib.suppress(OSError):  # the client may have been killed
                self.wfile.write(body[wait:])

    def do_CONNECT(self):
        self.server.connected.append(self.path)
        self.send_error(403)

    def answer(self, status: int, headers: dict[str, object], body: bytes = b""):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


class Server(http.server.ThreadingHTTPServer):
    pages: dict[str, Page]
    connected: list[str]
    stopped: threading.Event

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.server_port}{path}"


@contextlib.contextmanager
def serve() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as server:
        server.pages, server.connected = {}, []
        server.stopped = threading.Event()
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server
        finally:
            server.stopped.set()
            for page in server.pages.values():
                page.event.set()
            server.shutdown()
            thread.join()


def drip(handler: Handler, piece: bytes) -> None:
    """Send one piece again and again until the client has had enough of it."""
    with contextlib.suppress(OSError):
        while not handler.server.stopped.wait(0.02):
            handler.wfile.write(piece)
