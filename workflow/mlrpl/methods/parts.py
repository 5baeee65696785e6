"""From the name of a part in the configuration to its class."""

import importlib

from torch import nn

from mlrpl.config import options


def part_class(kind: str, name: str) -> type[nn.Module]:
    """Return the class that the schema names; its module is imported only now.

    Args:
        kind: the option that chooses the part: `head`, `visual`, `transfer`, `loss`.
        name: its value.
    """
    module, _, found = options.part_class(kind, name).partition(":")
    return getattr(importlib.import_module(f"mlrpl.{module}"), found)
