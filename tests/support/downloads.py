"""What the tests of downloads share."""

import hashlib
import sys
from pathlib import Path

import pytest

from mlrpl.download.files import download
from mlrpl.errors import UserError

QUICK = {"pause": 0.01, "timeout": 5}


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def one_line(url: str, output: Path, **options) -> str:
    """Assert that a download without a second try ends in one line; return it."""
    with pytest.raises(UserError) as caught:
        download([url], output, **{**QUICK, "retries": 0, **options})
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"{output}: ")
    assert message.count("; ") >= 1
    return message


MLRPL = [sys.executable, "-m", "mlrpl", "download"]
