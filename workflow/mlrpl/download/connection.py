"""HTTP connections on which every wait has an end."""

import http.client
import queue
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any

from mlrpl.errors import printable

HEAD = 512  # bytes that tell a web page from a file
_CHUNK = 1 << 20
_SLOWEST = 1024  # bytes a second


class Refused(Exception):
    """This address does not have the file; another may."""


class Broken(Exception):
    """The connection failed or broke; another try may go on from there."""


def open_address(
    url: str, headers: Mapping[str, str], timeout: float
) -> http.client.HTTPResponse:
    """Return the answer of an address, after redirects, once its headers are there.

    `http_proxy`, `https_proxy` and `no_proxy` are obeyed.

    Args:
        url: http or https address.
        headers: of the request.
        timeout: seconds to wait for a connection and for each next piece of data;
            three times as much for everything until the last header.

    Raises:
        Broken: there is no answer (yet).
        Refused: there never will be one.
        urllib.error.HTTPError: the answer is an error; it is closed.
    """
    try:
        answer = _within(3 * timeout, url, headers, timeout)
    except urllib.error.HTTPError as error:
        error.close()
        raise
    except urllib.error.URLError as error:
        reason = one_line(error.reason)
        if isinstance(error.reason, ssl.SSLCertVerificationError):
            raise Refused(f"has no valid certificate ({reason})") from error
        raise Broken(f"cannot be reached ({reason})") from error
    except (OSError, http.client.HTTPException) as error:
        raise Broken(f"breaks off ({one_line(error)})") from error
    except ValueError as error:
        raise Refused(f"is not a valid address ({one_line(error)})") from error
    if not isinstance(answer, http.client.HTTPResponse):
        raise Refused(f"redirects to {answer.url}, which is not an http address")
    return answer


def _within(limit: float, url: str, headers: Mapping[str, str], timeout: float) -> Any:
    # A socket's time-out starts anew with each byte. Only a thread can be left behind
    # when look-up, connection, redirects and headers take too long together.
    answers: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def ask() -> None:
        try:
            request = urllib.request.Request(url, headers=dict(headers))
            # a new opener, because urllib's own reads the proxies once a process
            opener = urllib.request.build_opener()
            answers.put(opener.open(request, timeout=timeout))
        except Exception as error:
            answers.put(error)

    threading.Thread(target=ask, daemon=True).start()
    try:
        answer = answers.get(timeout=limit)
    except queue.Empty:
        raise Broken(f"does not answer within {limit:g} seconds") from None
    if isinstance(answer, Exception):
        raise answer
    return answer


def pieces(response: http.client.HTTPResponse, timeout: float) -> Iterator[bytes]:
    """Yield what comes, as it comes, so that a break loses nothing.

    The first piece has `HEAD` bytes or more, or all that came.

    Args:
        response: an answer of `open_address`.
        timeout: seconds of waiting over which the data must come with 1024 bytes a
            second on average.

    Raises:
        Broken: the connection broke or is too slow; every piece was yielded before.
    """
    first = b""
    judged = False
    waited, gained = 0.0, 0
    while True:
        asked = time.monotonic()
        fault = None
        chunk = b""
        try:
            chunk = response.read1(_CHUNK)
        except (OSError, http.client.HTTPException) as error:
            fault = Broken(f"breaks off ({one_line(error)})")
        # writing to a slow disk is not the server's fault and does not count
        waited += time.monotonic() - asked
        gained += len(chunk)
        if waited >= timeout:
            if gained < _SLOWEST * waited:
                fault = fault or Broken(f"sends less than {_SLOWEST} bytes a second")
            waited, gained = 0.0, 0
        done = fault or not chunk
        if not judged:
            first += chunk
            chunk = b""
            if done or len(first) >= HEAD:
                judged = True
                chunk = first
        if chunk:
            yield chunk
        if fault:
            raise fault
        if done:
            return


def one_line(error: object) -> str:
    """Return the text of an error as one line without control characters; never empty.

    A server may send anything for its reason.
    """
    return printable(" ".join(str(error).split())) or type(error).__name__
