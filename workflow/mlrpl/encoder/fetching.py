"""The weights of an open_clip tag as a file, checked by their hash.

OpenAI's addresses have the SHA-256 of the file in their path. The hub's copy of the
same weights is another file, whose hash is not known beforehand: it is the second
choice, unless `encoder.sha256` of the config names its hash.
"""

import hashlib
import os
import re
import shutil
import sys
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from mlrpl.download.files import Expected, download
from mlrpl.encoder.clip import download_tag, find_weights
from mlrpl.errors import UserError, printable
from mlrpl.runtime.storage import atomic_path

_IN_ADDRESS = re.compile(r"/([0-9a-f]{64})/[^/]+$")


def fetch_weights(
    model: str, pretrained: str, output: str | PathLike, sha256: str | None = None
) -> str:
    """Put the file of an open_clip tag at `output`; return its SHA-256.

    It is the one that open_clip has fetched before, or comes from the tag's address if
    that names its hash, or else it is what open_clip fetches.

    Args:
        model: open_clip's name of the model.
        pretrained: its tag.
        output: where the file goes.
        sha256: which file it must be; None takes any of the three.

    Raises:
        UserError: no such model or tag, it cannot be downloaded or written, or it is
            another file than the one asked for.
    """
    _, tag = find_weights(model, pretrained)
    if not tag:
        raise UserError(
            f"encoder pretrained {pretrained}: is a file, and nothing has to be fetched"
        )
    match = _IN_ADDRESS.search(tag.get("url") or "")
    known = match.group(1) if match else None
    wanted = Expected(sha256 and sha256.lower())
    cached = cached_weights(tag)
    if cached and wanted.fault(cached):
        cached = None
    if known and not cached:
        try:
            download([tag["url"]], output, sha256=wanted.sha256 or known)
        except UserError as error:
            if not tag.get("hf_hub"):
                raise
            print(printable(f"{error}; trying the hub"), file=sys.stderr)
        else:
            return wanted.sha256 or known
    with atomic_path(output) as temporary:
        shutil.copyfile(cached or download_tag(model, pretrained, tag), temporary)
        if fault := wanted.fault(temporary):
            raise UserError(
                f"{output}: what open_clip fetches for {pretrained} {fault}; correct "
                "`encoder.sha256`, or fetch the checkpoint by hand and give its path "
                "as pretrained"
            )
    with open(output, "rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found not in (wanted.sha256, known):
        print(
            f"{output}: its hash was not known; `encoder.sha256: {found}` in the "
            "config takes no other file",
            file=sys.stderr,
        )
    return found


def cached_weights(tag: Mapping[str, Any]) -> Path | None:
    """Return the file of a published tag that open_clip would take, if it is there."""
    if not (hub := tag.get("hf_hub")):
        path = Path("~/.cache/clip").expanduser() / os.path.basename(tag["url"])
        return path if path.is_file() else None
    repository, file = os.path.split(hub)
    stem = os.path.splitext(file)[0]
    names = [f"{stem}.safetensors", file]
    if not file:
        names = ["open_clip_model.safetensors", "open_clip_pytorch_model.bin"]
    home = os.environ.get("HF_HOME") or "~/.cache/huggingface"
    cache = Path(os.environ.get("HF_HUB_CACHE") or f"{home}/hub").expanduser()
    folder = cache / f"models--{repository.replace('/', '--')}"
    for name in names:
        for path in sorted(folder.glob(f"snapshots/*/{name}")):
            return path
    return None
