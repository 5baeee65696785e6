"""The list of a split's feature files: one input of a training in place of each shard.

A plan looks at every input of every job, so that hundreds of trainings with hundreds of
shards each would take minutes. The list stands beside the shards; what it says of each
changes when the shard is made again.
"""

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mlrpl.errors import UserError
from mlrpl.runtime.storage import atomic_path

NAME = "shards.json"
# Up to this size a shard is known by its bytes, beyond it by size and time, as inputs
# are in Snakemake (`max-checksum-file-size` of profiles/default).
HASHED_BYTES = 64_000_000


def write(path: str | os.PathLike, count: int) -> list[Path]:
    """Write the list of the shards `0.h5` to `{count - 1}.h5` beside it.

    Returns:
        The shards' paths, in their order.

    Raises:
        FileNotFoundError: a shard that is not there.
    """
    shards = [Path(path).parent / f"{number}.h5" for number in range(count)]
    entries = [_entry(shard) for shard in shards]
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps({"shards": entries}, indent=1) + "\n")
    return shards


def expand(paths: Iterable[str]) -> list[str]:
    """Return feature files, a list of them (`.json`) replaced by what it lists.

    Raises:
        UserError: a list that is none, or a shard that is missing or another one than
            that which the list was made of.
    """
    found: list[str] = []
    for path in paths:
        found += _listed(Path(path)) if path.endswith(".json") else [path]
    return found


def _listed(path: Path) -> list[str]:
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))["shards"]
        sizes = {path.parent / entry["file"]: entry["bytes"] for entry in entries}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path}: is no list of feature files ({error}); remove it, and the "
            "workflow makes it again"
        ) from None
    for shard, size in sizes.items():
        there = shard.stat().st_size if shard.is_file() else None
        if there != size:
            said = "is missing" if there is None else f"has {there} bytes, not {size}"
            raise UserError(
                f"{shard}: {said}, though {path.name} lists it; remove {path}, and the "
                "workflow makes both again"
            )
    return list(map(str, sizes))


def _entry(shard: Path) -> dict[str, Any]:
    status = shard.stat()
    entry: dict[str, Any] = {"file": shard.name, "bytes": status.st_size}
    if status.st_size > HASHED_BYTES:
        return {**entry, "modified_ns": status.st_mtime_ns}
    return {**entry, "sha256": hashlib.sha256(shard.read_bytes()).hexdigest()}
