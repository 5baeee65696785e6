"""What the tests of the data formats share: small archives, the command line."""

import io
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from mlrpl.errors import UserError

NAMED = {"dataset": "d", "split": "train"}


def write_zip(path: Path, files: dict[str, bytes | str]) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        for name, data in files.items():
            file.writestr(name, data)
    return path


def write_tar(path: Path, files: dict[str, str]) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            data = text.encode()
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def command(repository: Path, *arguments: object) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "mlrpl", *map(str, arguments)],
        cwd=repository / "workflow",
        capture_output=True,
        text=True,
    )


def fails(function, *arguments, match: str, **options) -> str:
    """Assert a one-line UserError that matches and says what to do."""
    with pytest.raises(UserError, match=match) as caught:
        function(*arguments, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert re.match(r".+: .+; .+|.+, which has .+; .+", message)
    return message
