"""The checked configuration of the paper's experiments."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from mlrpl.config.validation import validate


@pytest.fixture(scope="session")
def checked(repository: Path) -> dict[str, Any]:
    return validate(yaml.safe_load((repository / "config.yaml").read_text()))


@pytest.fixture
def config(checked) -> dict[str, Any]:
    """One of its own for each test, which may change it."""
    return copy.deepcopy(checked)
