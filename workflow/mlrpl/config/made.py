"""The runs that lie in the results, whoever asked for them."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlrpl.config import plan
from mlrpl.errors import UserError


@dataclass(frozen=True)
class MadeRun:
    """A run that has metrics.

    Attributes:
        name: its folder below `runs`.
        metrics: the path of its metrics.json.
        current: whether its options are those that the configuration gives it now.
    """

    name: str
    metrics: Path
    current: bool


def made_runs(config: Mapping[str, Any]) -> list[MadeRun]:
    """Return every run that has metrics, by its folder's name."""
    root = Path(config["results"]) / "runs"
    found = sorted(root.glob("*/*/prop=*/seed=*/metrics.json"))
    return [
        MadeRun(
            path.parent.relative_to(root).as_posix(), path, _is_current(config, path)
        )
        for path in found
    ]


def contents_hash(paths: Iterable[str]) -> str:
    """Return a hash of files, so that a job sees when one of them has changed."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(Path(path).read_bytes())
    return digest.hexdigest()[:16]


def _is_current(config: Mapping[str, Any], metrics: Path) -> bool:
    """Return whether a run would be made with the same options under the same name."""
    method = metrics.parts[-4]
    try:
        record = json.loads(metrics.with_name("run.json").read_text(encoding="utf-8"))
        same_name = plan.canonical(config, method) == method
        return same_name and record["options"] == plan.method_options(config, method)
    except (OSError, ValueError, KeyError, TypeError, UserError):
        return False
