"""The configuration of the paper's experiments."""

from pathlib import Path
from typing import Any

import pytest
import yaml


@pytest.fixture(scope="session")
def paper(repository: Path) -> dict[str, Any]:
    return yaml.safe_load((repository / "config.yaml").read_text())
