"""YAML files that come with the project: its schemas and its facts."""

from pathlib import Path
from typing import Any

import yaml

# In C where PyYAML has it: every command and every plan reads the schemas first. What
# users write goes through `files.read`, whose errors name lines and keys.
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_shipped(path: Path) -> Any:
    """Return the content of a file of the project's own."""
    return yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
