"""Fetch one file over HTTP: several addresses, resume, and a check that it is whole."""

import hashlib
import http.client
import os
import re
import ssl
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from tqdm import tqdm

from mlrpl.errors import UserError

_CHUNK = 1 << 20
_HTML = (b"<!doctype html", b"<html", b"<head")


class _Refused(Exception):
    """This address does not have the file; another may."""


class _Broken(Exception):
    """The connection failed or broke; another try may go on from there."""


@dataclass
class Expected:
    """What is known of a file before it is fetched; anything may be absent."""

    sha256: str | None = None
    md5: str | None = None
    size: int | None = None

    @property
    def hashed(self) -> bool:
        """Whether a hash tells a whole file from any other."""
        return bool(self.sha256 or self.md5)

    def fault(self, path: Path) -> str | None:
        """Say what is wrong with a file, or return None."""
        if self.size is not None and path.stat().st_size != self.size:
            return f"has {path.stat().st_size} bytes, not {self.size}"
        for name in ("sha256", "md5"):
            wanted = getattr(self, name)
            if wanted:
                with path.open("rb") as file:
                    found = hashlib.file_digest(file, name).hexdigest()
                if found != wanted.lower():
                    return f"has {name} {found}, not {wanted.lower()}"
        return None


@dataclass
class _Part:
    """The unfinished file beside the output, and where its bytes came from."""

    path: Path
    expected: Expected
    url: str | None = None
    validator: str | None = None
    resumed: bool = False

    def start(self, url: str) -> int:
        """Return how many bytes at hand `url` may continue; drop the others.

        Bytes of another address or an earlier call are continued only where a hash
        will tell whether the parts belong together.
        """
        if not self.path.exists():
            return 0
        size = self.path.stat().st_size
        continues = self.expected.hashed or (self.url == url and self.validator)
        if not continues or (self.expected.size and size > self.expected.size):
            self.path.unlink()
            return 0
        return size


def download(
    urls: Sequence[str],
    output: str | PathLike,
    *,
    sha256: str | None = None,
    md5: str | None = None,
    size: int | None = None,
    retries: int = 3,
    timeout: float = 60.0,
    pause: float = 2.0,
) -> None:
    """Fetch a file from the first address that has it whole.

    Bytes go to `<output>.part`; a broken connection, or a later call where a hash is
    given, goes on from there if the server can. An output that already passes the
    checks is left alone; on any failure, what was at `output` is as before.

    Args:
        urls: http or https addresses of the same file, tried in turn.
        output: where the file goes.
        sha256: hash in hexadecimal digits that the file must have.
        md5: the same for MD5.
        size: bytes that the file must have.
        retries: further tries of an address whose connection breaks or that answers
            with a server error.
        timeout: seconds to wait for a connection, and for each next piece of data.
        pause: seconds before the second try; doubled before each further one.

    Raises:
        UserError: no address gave the file; the line names each and its fault.
    """
    output = Path(output)
    expected = Expected(sha256, md5, size)
    for url in urls:
        if not url.startswith(("http://", "https://")):
            raise UserError(f"{url}: is no address; give one with http:// or https://")
    for name, digits in (("sha256", 64), ("md5", 32)):
        wanted = getattr(expected, name)
        if wanted and not re.fullmatch(f"[0-9a-fA-F]{{{digits}}}", wanted):
            raise UserError(
                f"{name}: {wanted!r} is no hash; give {digits} hexadecimal digits"
            )
    known = expected.hashed or size is not None
    if known and output.is_file() and expected.fault(output) is None:
        return
    part = _Part(output.with_name(output.name + ".part"), expected)
    faults = []
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        for url in urls:
            try:
                _fetch_whole(url, part, retries, timeout, pause)
            except (_Refused, _Broken) as error:
                faults.append(f"{url} {error}")
                if len(faults) < len(urls):
                    print(f"{url} {error}; trying the next address", file=sys.stderr)
                continue
            os.replace(part.path, output)
            return
    except OSError as error:
        raise UserError(
            f"{output}: cannot be written ({error.strerror or error}); free some "
            "space, or check the folder"
        ) from error
    raise UserError(
        f"{output}: not downloaded: {'; '.join(faults)}; try again later, give "
        "another address, or fetch it by hand and put it there"
    )


def _fetch_whole(
    url: str, part: _Part, retries: int, timeout: float, pause: float
) -> None:
    """Leave the whole, checked file in `part`, or raise `_Refused` or `_Broken`."""
    expected = part.expected
    sized = expected.size is not None and part.path.exists()
    if expected.hashed and sized and expected.fault(part.path) is None:
        return  # an earlier call was ended just before its rename
    failures = 0
    while True:
        try:
            _fetch(url, part, timeout)
        except _Broken as error:
            if failures >= retries:
                raise
            print(f"{url} {error}; trying again", file=sys.stderr)
            time.sleep(pause * 2**failures)
            failures += 1
            continue
        fault = part.expected.fault(part.path)
        if fault is None:
            return
        part.path.unlink()
        if not part.resumed:
            raise _Refused(fault)
        # the bytes at hand may have been the wrong ones
        print(f"{url} {fault}; fetching it from the start", file=sys.stderr)


def _fetch(url: str, part: _Part, timeout: float) -> None:
    """Fetch what `part` lacks in one request; a return means the server was done."""
    start = part.start(url)
    headers = {"User-Agent": "mlrpl", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
        if part.url == url and part.validator:
            headers["If-Range"] = part.validator
    try:
        response = urllib.request.urlopen(
            urllib.request.Request(url, headers=headers), timeout=timeout
        )
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416 and start:
            if error.headers.get("Content-Range") == f"bytes */{start}":
                part.resumed = True  # nothing is missing
                return
            part.path.unlink()
            raise _Broken("does not continue the bytes at hand") from error
        text = f"answers {error.code} {error.reason}"
        if error.code >= 500 or error.code in (408, 429):
            raise _Broken(text) from error
        raise _Refused(text) from error
    except urllib.error.URLError as error:
        if isinstance(error.reason, ssl.SSLCertVerificationError):
            raise _Refused(f"has no valid certificate ({error.reason})") from error
        raise _Broken(f"cannot be reached ({error.reason})") from error
    except (OSError, http.client.HTTPException) as error:
        raise _Broken(f"breaks off ({_text(error)})") from error
    with response:
        _receive(response, url, part, start)


def _receive(
    response: http.client.HTTPResponse, url: str, part: _Part, start: int
) -> None:
    """Append the answer's bytes to the part, or replace it by them."""
    if start and response.status != 206:
        start = 0
    elif start:
        span = response.headers.get("Content-Range", "")
        if not span.startswith(f"bytes {start}-"):
            part.path.unlink()
            raise _Broken("does not continue the bytes at hand")
    length = response.headers.get("Content-Length")
    total = start + int(length) if length else None
    expected = part.expected.size
    if total is not None and expected is not None and total != expected:
        raise _Refused(f"has {total} bytes, not {expected}")
    part.resumed = start > 0
    part.url = url
    etag = response.headers.get("ETag", "")
    # a weak tag does not promise equal bytes
    strong = etag if etag and not etag.startswith("W/") else None
    part.validator = strong or response.headers.get("Last-Modified")
    received = start
    with (
        part.path.open("ab" if start else "wb") as file,
        tqdm(
            total=total,
            initial=start,
            unit="B",
            unit_scale=True,
            unit_divisor=1024,
            desc=part.path.stem,
            mininterval=1.0 if sys.stderr.isatty() else 30.0,
        ) as bar,
    ):
        while True:
            try:
                # read1 hands over what has come, so that a break loses nothing
                chunk = response.read1(_CHUNK)
            except (OSError, http.client.HTTPException) as error:
                raise _Broken(f"breaks off ({_text(error)})") from error
            if not chunk:
                break
            if received == 0 and _is_page(chunk, part.path):
                file.close()
                part.path.unlink()
                raise _Refused("answers with a web page, not with the file")
            file.write(chunk)
            received += len(chunk)
            bar.update(len(chunk))
    if total is not None and received < total:
        raise _Broken(f"breaks off after {received} of {total} bytes")
    if received == 0:
        part.path.unlink()
        raise _Refused("answers with an empty file")


def _is_page(chunk: bytes, path: Path) -> bool:
    wanted = path.stem.lower().endswith((".html", ".htm"))
    return not wanted and chunk[:512].lstrip().lower().startswith(_HTML)


def _text(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
