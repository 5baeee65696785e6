"""The files that the configured experiments read, and where each of them stands."""

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mlrpl.config import raw_files
from mlrpl.doctor.sizes import MADE, MADE_FOLDER
from mlrpl.download.files import Expected
from mlrpl.errors import UserError

# Bytes that open_clip fetches, by a part of the address: OpenAI's file has fp16, the
# hub's copy may have fp32. The larger one, because it has to fit.
WEIGHTS_BYTES = {
    "8fa8567bab74a42d41c5915025a8e4538c3bdbe8804a470a72f30b0d94fab599": 480e6
}


@dataclass(frozen=True)
class Source:
    """One file or folder that the experiments start from.

    Attributes:
        owner: its data set, `glove` or `encoder`.
        path: where it is or will be; of published weights, the model and its tag.
        state: `there`, `unfinished` (a download goes on), `download`, `made` (by the
            workflow itself), `missing` or `wrong`.
        size: bytes of the whole file, None if unknown.
        at_hand: bytes that are on disk.
        estimated: whether `size` is not the config's and not the file's own.
        note: what else there is to say.
        fault: one line why nothing can start, and what to do.
    """

    owner: str
    path: str
    state: str
    size: int | None = None
    at_hand: int = 0
    estimated: bool = False
    note: str = ""
    fault: str | None = None

    @property
    def to_fetch(self) -> int | None:
        """Bytes still to be downloaded; None if unknown."""
        if self.state not in ("download", "unfinished"):
            return 0
        return None if self.size is None else max(0, self.size - self.at_hand)


def find_sources(
    config: Mapping[str, Any], datasets: Collection[str], hashes: bool = False
) -> list[Source]:
    """Return every file that runs on these data sets read, each once.

    Args:
        config: the checked configuration.
        datasets: the data sets that the experiments name; with none, nothing is read.
        hashes: read the files that are there, and compare their hashes.
    """
    found: dict[str, Source] = {}
    for name in datasets:
        entry = config["datasets"][name]
        for split_name, split in entry["splits"].items():
            for key in ("images", "annotations", "labels"):
                if key not in split:
                    continue
                path = raw_files.split_source(config, name, split_name, key)
                if path not in found:
                    known = entry["files"].get(split[key], {})
                    where = f"datasets.{name}.root"
                    found[path] = _look(name, path, known, entry, where, hashes)
    if any(config["datasets"][name]["words"] != "clip" for name in datasets):
        glove, path = config["glove"], raw_files.glove_source(config)
        found[path] = _look("glove", path, glove, glove, "glove.root", hashes)
    if datasets:
        found["encoder"] = _encoder(config)
    return _one_fault_a_root(list(found.values()))


def _look(
    owner: str,
    path: str,
    known: Mapping[str, Any],
    entry: Mapping[str, Any],
    where: str,
    hashes: bool,
) -> Source:
    """Look at one file; `where` is the config key of its root."""
    expected = Expected(known.get("sha256"), known.get("md5"), known.get("size"))
    downloaded, file = entry["root"] is None, Path(path)
    if file.is_dir():
        return Source(owner, path, "there", note="folder, read in place")
    if file.is_file():
        return _there(owner, file, expected, downloaded, hashes)
    size = expected.size
    if downloaded:
        part = Path(f"{path}.part")
        if not part.is_file():
            return Source(owner, path, "download", size)
        at_hand = part.stat().st_size
        if expected.hashed:
            note = "the download goes on"
        else:  # only a hash tells whether the parts belong together
            at_hand, note = 0, "no hash: the download starts again"
        return Source(owner, path, "unfinished", size, at_hand, note=note)
    made = file.name in MADE and os.path.normpath(file.parent) == MADE_FOLDER
    if made:
        return Source(owner, path, "made")
    remedy = f"put it there, or correct {where}"
    if known.get("url"):
        remedy = f"put it there, or set {where} to null to download it"
    fault = f"{path}: is not there, although {where} says so; {remedy}"
    return Source(owner, path, "missing", size, fault=fault)


def _there(
    owner: str, file: Path, expected: Expected, downloaded: bool, hashes: bool
) -> Source:
    size = file.stat().st_size
    other_size = expected.size not in (None, size)
    wrong = None
    if hashes:
        wrong = expected.fault(file)
    elif downloaded and other_size:
        wrong = f"has {size} bytes, not {expected.size}"
    if wrong:
        remedy = "delete it and the workflow fetches it again"
        if not downloaded:
            remedy = "fetch it again, or correct the hash and the size in the config"
        fault = f"{file}: {wrong}; {remedy}"
        return Source(owner, str(file), "wrong", size, size, fault=fault)
    note = ""
    if hashes:
        note = "hash right" if expected.hashed else "no hash in the config"
    elif other_size:
        note = "size differs: try --hashes"
    return Source(owner, str(file), "there", size, size, note=note)


def _one_fault_a_root(sources: list[Source]) -> list[Source]:
    """Name a missing folder once instead of each of its files."""
    seen: set[str] = set()
    kept = []
    for source in sources:
        folder = os.path.dirname(source.path)
        rooted = source.state == "missing" and source.owner != "encoder"
        if rooted and source.fault and not os.path.isdir(folder):
            fault = source.fault.replace(source.path, folder, 1)
            source = replace(source, fault=None if folder in seen else fault)
            seen.add(folder)
        kept.append(source)
    return kept


def _encoder(config: Mapping[str, Any]) -> Source:
    """Look at the encoder's files, or at what open_clip has fetched before."""
    model, pretrained = (config["encoder"][key] for key in ("model", "pretrained"))
    try:
        from mlrpl.encoder.clip import find_weights
        from mlrpl.encoder.fetching import cached_weights

        _, tag = find_weights(model, pretrained)
    except ImportError as error:  # torch or open_clip: a fault of the versions
        name = f"{model}, {pretrained}"
        return Source("encoder", name, "there", note=f"not checked: {error}")
    except UserError as error:
        return Source("encoder", pretrained, "missing", fault=str(error))
    if not tag:
        size = Path(pretrained).stat().st_size
        return Source("encoder", pretrained, "there", size, size)
    name = f"{model}, {pretrained}"
    for fetched in map(Path, raw_files.fetched_weights(config)):
        if fetched.is_file():
            size = fetched.stat().st_size
            return Source("encoder", str(fetched), "there", size, size)
    if cached := cached_weights(tag):
        size = cached.stat().st_size
        return Source("encoder", name, "there", size, size, note="open_clip has it")
    known = [n for part, n in WEIGHTS_BYTES.items() if part in tag.get("url", "")]
    size = int(known[0]) if known else None
    note = "fetched before the features are made"
    return Source("encoder", name, "download", size, 0, True, note)
