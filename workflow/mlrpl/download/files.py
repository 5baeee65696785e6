"""Fetch one file: several addresses in turn, and a check that it is whole."""

import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import pooch

from mlrpl.download.locks import locked
from mlrpl.download.resume import Broken, Refused, ResumingDownloader
from mlrpl.errors import UserError, printable
from mlrpl.runtime.storage import synchronise, synchronise_folder, unwritable

_DAY = 86_400


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
                found = pooch.file_hash(str(path), alg=name)
                if found != wanted.lower():
                    return f"has {name} {found}, not {wanted.lower()}"
        return None


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
    checks is left alone; on any failure, what was at `output` is as before. A second
    call at the same time, of this or another process, waits for the first.

    Args:
        urls: http or https addresses of the same file, tried in turn.
        output: where the file goes.
        sha256: hash in hexadecimal digits that the file must have.
        md5: the same for MD5.
        size: bytes that the file must have.
        retries: further tries of an address whose connection breaks or that answers
            with a server error.
        timeout: seconds to wait for a connection, and for each next piece of data;
            data must also come with 1024 bytes a second (see `ResumingDownloader`).
        pause: seconds before the second try; doubled before each further one.

    Raises:
        UserError: no address gave the file, and the line names each and its fault; or
            the disk has too little space or cannot be written; or an argument is wrong.
    """
    output = Path(output)
    expected = Expected(sha256, md5, size)
    _check_arguments(urls, expected, timeout)
    before = _state(output)
    known = expected.hashed or size is not None
    if known and output.is_file() and expected.fault(output) is None:
        return
    # pooch.retrieve would call the downloader with a temporary file of a random name,
    # and remove that when it is interrupted, also while it checks the hash of 13 GB.
    # So its steps (fetch beside the output, check, rename) are taken here, with a name
    # that the next run finds.
    part = output.with_name(output.name + ".part")
    fetch = ResumingDownloader(
        size, expected.hashed, output, retries=retries, timeout=timeout, pause=pause
    )
    faults = []
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        waiting = f"{output}: another run fetches it; waiting for that one"
        with locked(part, waiting):
            after = _state(output)
            if after not in (None, before) and expected.fault(output) is None:
                return  # the other run has fetched it
            for url in urls:
                try:
                    _fetch_whole(url, part, expected, fetch)
                except (Refused, Broken) as error:
                    faults.append(f"{url} {error}")
                    if len(faults) < len(urls):
                        line = printable(f"{url} {error}")
                        print(f"{line}; trying the next address", file=sys.stderr)
                    continue
                synchronise(part)  # a power cut leaves no name without its content
                os.replace(part, output)
                synchronise_folder(output.parent)
                return
    except OSError as error:
        raise unwritable(output, error) from error
    raise UserError(
        f"{output}: not downloaded: {'; '.join(faults)}; try again later, give "
        "another address, or fetch it by hand and put it there"
    )


def _check_arguments(urls: Sequence[str], expected: Expected, timeout: float) -> None:
    for url in urls:
        if not url.startswith(("http://", "https://")):
            raise UserError(
                f"{url}: is not an address; give one with http:// or https://"
            )
    for name, digits in (("sha256", 64), ("md5", 32)):
        wanted = getattr(expected, name)
        if wanted and not re.fullmatch(f"[0-9a-fA-F]{{{digits}}}", wanted):
            raise UserError(
                f"{name}: {wanted!r} is not a hash; give {digits} hexadecimal digits"
            )
    if not 0 < timeout <= _DAY:
        raise UserError(
            f"timeout: {timeout} is out of range; give seconds, more than 0 and at "
            f"most {_DAY}"
        )


def _fetch_whole(
    url: str, part: Path, expected: Expected, fetch: ResumingDownloader
) -> None:
    """Leave the whole, checked file in `part`, or raise `Refused` or `Broken`."""
    fetch(url, part)
    fault = expected.fault(part)
    if fault and fetch.resumed:
        # the bytes at hand may have been the wrong ones
        print(f"{url} {fault}; fetching it from the start", file=sys.stderr)
        os.truncate(part, 0)
        fetch(url, part)
        fault = expected.fault(part)
    if fault:
        os.truncate(part, 0)
        raise Refused(fault)


def _state(path: Path) -> tuple[int, int, int] | None:
    """Return what tells one version of a file from the next; None if it is absent."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns
