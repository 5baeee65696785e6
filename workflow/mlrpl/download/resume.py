"""A downloader for pooch that goes on from the bytes at hand."""

import http.client
import itertools
import re
import shutil
import sys
import time
import urllib.error
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

from tqdm import tqdm

from mlrpl.download.connection import (
    HEAD,
    Broken,
    Refused,
    one_line,
    open_address,
    pieces,
)
from mlrpl.errors import UserError, printable

_HTML = (b"<!doctype html", b"<html", b"<head")


@dataclass
class ResumingDownloader:
    """Fetches one file, from one address or from several in turn; for pooch.

    A connection that breaks is opened again with a Range, and so is that of a later
    call if the file has a hash. A server that ignores the Range sends the whole file,
    and only then the bytes at hand are replaced.

    No server holds a run for ever. `timeout` bounds the wait for a connection and for
    each next piece of data; three times as much bounds the wait for the headers of an
    answer with all its redirects; and data must come with 1024 bytes a second on
    average over `timeout` seconds of waiting.

    Attributes:
        size: bytes of the file, if known.
        hashed: whether the caller checks a hash afterwards, so that bytes of another
            address or an earlier call may be continued.
        name: what messages and the progress bar call the file; by default its path.
        retries: further tries of an address whose connection breaks or that answers
            with a server error.
        timeout: seconds.
        pause: seconds before the second try; doubled before each further one.
        resumed: whether the last call went on from bytes at hand.
    """

    size: int | None = None
    hashed: bool = False
    name: Path | None = None
    retries: int = 3
    timeout: float = 60.0
    pause: float = 2.0
    resumed: bool = field(default=False, init=False)
    # where the bytes at hand are from, and the server's word for their version
    _url: str | None = field(default=None, init=False)
    _validator: str | None = field(default=None, init=False)

    def __call__(
        self, url: str, output_file: str | PathLike, pooch: Any = None
    ) -> None:
        """Complete `output_file` from `url`; the hash is left to the caller.

        Raises:
            Refused: this address does not have the file.
            Broken: every try broke off; what came is in `output_file`.
            UserError: the disk has too little space; nothing was changed.
            OSError: the file cannot be written.
        """
        path = Path(output_file)
        self.resumed = False
        failures = 0
        while True:
            start = self._start(url, path)
            if start and start == self.size:
                self.resumed = True
                return
            if self.size is not None:
                self._check_space(path, self.size, start)
            try:
                self._fetch(url, path, start)
                return
            except Broken as error:
                if failures >= self.retries:
                    raise
                print(printable(f"{url} {error}; trying again"), file=sys.stderr)
            time.sleep(self.pause * 2**failures)
            failures += 1

    def _start(self, url: str, path: Path) -> int:
        """Return how many bytes at hand `url` may continue.

        Bytes of another address or an earlier call are continued only where a hash
        will tell whether the parts belong together.
        """
        size = _size(path)
        continues = self.hashed or (self._url == url and self._validator)
        if not continues or (self.size is not None and size > self.size):
            return 0
        return size

    def _fetch(self, url: str, path: Path, start: int) -> None:
        """Fetch what is lacking in one request; a return means that it was served."""
        headers = {"User-Agent": "mlrpl", "Accept-Encoding": "identity"}
        if start:
            headers["Range"] = f"bytes={start}-"
            if self._url == url and self._validator:
                headers["If-Range"] = self._validator
        try:
            with open_address(url, headers, self.timeout) as response:
                placed = self._place(response, start)
                if placed:
                    self._store(response, url, path, *placed)
                    return
        except urllib.error.HTTPError as error:
            if error.code != 416 or not start:
                text = f"answers {error.code} {one_line(error.reason)}"
                if error.code >= 500 or error.code in (408, 429):
                    raise Broken(text) from error
                raise Refused(text) from error
            end = error.headers.get("Content-Range") == f"bytes */{start}"
            if end and self.size is None:
                self.resumed = True  # nothing is missing
                return
        self._fetch(url, path, 0)  # the server cannot continue: the whole file

    def _place(
        self, response: http.client.HTTPResponse, start: int
    ) -> tuple[int, int | None] | None:
        """Return where the answer's bytes begin, and the file's size if it is known.

        None stands for a part of the file that does not continue the bytes at hand.
        """
        total = None
        coding = response.headers.get("Content-Encoding", "identity")
        if coding.lower() != "identity":
            raise Refused(f"answers in the coding {coding}, which was not asked for")
        if start and response.status == 206:
            if self._validator and _validator(response) not in (None, self._validator):
                return None  # of another version than the bytes at hand
            span = response.headers.get("Content-Range", "")
            match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", span)
            if not match or int(match[1]) != start:
                return None
            total = int(match[2]) if match[2] != "*" else None
        elif response.status != 200:
            raise Refused(f"answers {response.status}, not with the whole file")
        else:
            start = 0
        length = response.headers.get("Content-Length", "")
        if total is None and re.fullmatch("[0-9]+", length):
            total = start + int(length)
        if total is not None and self.size not in (None, total):
            raise Refused(f"has {total} bytes, not {self.size}")
        return start, self.size if total is None else total

    def _store(
        self,
        response: http.client.HTTPResponse,
        url: str,
        path: Path,
        start: int,
        total: int | None,
    ) -> None:
        """Append the answer's bytes to the file, or replace it by them."""
        if total is not None:
            self._check_space(path, total, start)
        chunks = pieces(response, self.timeout)
        name = self.name or path
        if not start:
            first = next(chunks, b"")
            if not first:
                raise Refused("answers with an empty file")
            if _is_page(first, name):
                raise Refused("answers with a web page, not with the file")
            chunks = itertools.chain([first], chunks)
        # only now, so that no useless answer costs the bytes at hand
        self.resumed = start > 0
        self._url = url
        self._validator = _validator(response)
        received = start
        with (
            path.open("ab" if start else "wb") as file,
            tqdm(
                total=total,
                initial=start,
                unit="B",
                unit_scale=True,
                unit_divisor=1024,
                desc=name.name,
                mininterval=1.0 if sys.stderr.isatty() else 30.0,
            ) as bar,
        ):
            for chunk in chunks:
                if self.size is not None and received + len(chunk) > self.size:
                    raise Refused(f"has more than {self.size} bytes")
                file.write(chunk)
                received += len(chunk)
                bar.update(len(chunk))
        if total is not None and received < total:
            raise Broken(f"breaks off after {received} of {total} bytes")

    def _check_space(self, path: Path, total: int, start: int) -> None:
        """Raise a UserError if the bytes from `start` to `total` do not fit."""
        usage = shutil.disk_usage(path.parent)
        free = usage.free
        if not start:
            free += _size(path)  # these bytes make room
        # a disk of 0 bytes is one whose size is not known
        if usage.total and total - start > free:
            raise UserError(
                f"{self.name or path}: needs {total - start} bytes more, and "
                f"{path.parent.resolve()} has {free} free; free some space there, or "
                "choose a folder on another disk"
            )


def _validator(response: http.client.HTTPResponse) -> str | None:
    """Return the server's word for the version of the file."""
    etag = response.headers.get("ETag", "")
    # a weak tag does not promise equal bytes
    strong = etag if etag and not etag.startswith("W/") else None
    return strong or response.headers.get("Last-Modified")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _is_page(start: bytes, name: Path) -> bool:
    wanted = name.name.lower().endswith((".html", ".htm"))
    return not wanted and start[:HEAD].lstrip().lower().startswith(_HTML)
