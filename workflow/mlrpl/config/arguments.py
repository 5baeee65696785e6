"""Values of the configuration as command line arguments."""

import json
import shlex
from collections.abc import Mapping
from typing import Any


def flags(values: Mapping[str, Any]) -> str:
    """Return values as command line arguments, quoted, in the order given.

    `None`, `False` and empty ones are left out, `True` is the flag alone, a list
    follows its flag, and a mapping follows it as KEY=VALUE. {"member": "a b"} gives
    "--member 'a b'". A text that begins like a flag is joined to its own by a `=`, and
    a mapping with a key that KEY=VALUE could not give back is one of JSON.
    """
    words: list[str] = []
    for name, value in values.items():
        if value is None or value is False or value == [] or value == {}:
            continue
        flag = f"--{name.replace('_', '-')}"
        if isinstance(value, Mapping):
            if any("=" in key or key[:1] in ("-", "{", "") for key in value):
                words.append(f"{flag}={json.dumps(value, sort_keys=True)}")
            else:
                words += [flag, *(f"{key}={value[key]}" for key in sorted(value))]
        elif isinstance(value, list | tuple):
            if any(text.startswith("-") for text in value if isinstance(text, str)):
                words += [f"{flag}={text}" for text in value]
            else:
                words += [flag, *map(str, value)]
        elif value is True:
            words.append(flag)
        elif str(value).startswith("-"):
            words.append(f"{flag}={value}")
        else:
            words += [flag, str(value)]
    return shlex.join(words)
