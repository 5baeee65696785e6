"""What a job of each rule asks of the machine that runs it: memory, time and disk.

The rules take these numbers as their resources, which a cluster reserves and kills by,
and the doctor prints them. They are upper bounds of what was measured, from the
configuration, the sizes of a job's inputs, and the attempt: a job that was killed for
want of memory or time asks for twice as much, then for three times.
"""

import functools
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlrpl.config import plan, raw_files
from mlrpl.config.options import reads_tokens
from mlrpl.doctor import rates, sizes
from mlrpl.encoder import shard_list
from mlrpl.runtime.memory import HOST_SHARE

# A process that imports torch takes 0.9 GB, the index of COCO 1.0 GB (measured); and
# minutes, of which a small job needs one.
SMALL_MB, SMALL_MINUTES = 3000, 30
# A training or an encoder besides what it reads: with CUDA the libraries take 3 GB.
LARGE_MB = 4000
# What differs from job to job; of all other rules everything does. A number that is
# asked of a function costs a plan of thousands of jobs a second for each of them.
DIFFERS = {
    "train": ("mem_mb", "runtime"),
    **dict.fromkeys(("drop", "evaluate"), ("mem_mb",)),
    **dict.fromkeys(("collect", "context", "figure", "recipes", "table", "trials"), ()),
    **dict.fromkeys(("pictures", "shard_list"), ()),
    **dict.fromkeys(("classes", "cost", "curves", "localisation", "overview"), ()),
}
# The rest of an input goes through memory more than once: parsed, as a matrix, sorted.
COPIES = {"index": 5, "boxes": 5, "drop": 20, "encoder": 4, "evaluate": 6, "train": 4}
COPIES |= {"clip": 4, "localise": 2, "resample": 6}
# Features beyond this are read from the disk in every epoch, as where a machine has
# less memory than they take (`runtime.memory.place`).
MOST_FEATURES_MB = 128_000
# Partitions end somewhere; a training that meets the end goes on from its checkpoint.
MOST_MINUTES = 1440
# Floating-point operations of a training for each byte of the features that it reads:
# `sarl` at the paper's sizes, counted.
OPERATIONS_A_BYTE = 5000
# Bytes a pixel side squared and image that a batch takes in the encoder: three of the
# stem's fp32 tensors, 64 channels at half the side, and three colours of each of the
# two batches that wait for every decoding process.
ENCODED_BYTES, DECODED_BYTES = 192, 6


@dataclass(frozen=True)
class Ask:
    """What one job asks for.

    Attributes:
        mem_mb: megabytes (10^6 bytes) of host memory.
        runtime: minutes.
        disk_mb: megabytes that it writes.
    """

    mem_mb: int = SMALL_MB
    runtime: int = SMALL_MINUTES
    disk_mb: int = 1000

    def times(self, attempt: int) -> "Ask":
        """Return what the next attempts ask for; the disk stays as it is."""
        minutes = min(self.runtime * attempt, max(self.runtime, MOST_MINUTES))
        return Ask(self.mem_mb * attempt, minutes, self.disk_mb)


class Jobs:
    """The jobs of one configuration."""

    def __init__(self, config: Mapping[str, Any]):
        """Take a checked configuration; what is looked up is kept."""
        self._config = config
        self._cuda = config["device"] != "cpu"
        self._options: dict[str, Mapping[str, Any]] = {}

    def ask(
        self,
        rule: str,
        wildcards: Mapping[str, str],
        megabytes: Mapping[str, float],
        threads: int = 1,
        attempt: int = 1,
    ) -> Ask:
        """Return what a job asks for.

        Args:
            rule: the rule's name.
            wildcards: of the job.
            megabytes: sizes of the job's inputs by their names in the rule; of those
                without a name, all together under "".
            threads: that the job is given.
            attempt: 1, and one more each time that it failed.
        """
        if rule == "train":
            found = self._train(wildcards["method"], megabytes, threads)
        elif rule in ("features", "tokens"):
            found = self._features(rule, wildcards, threads)
        else:
            # Archives of pictures are read one member after another.
            read = sum(size for name, size in megabytes.items() if name != "images")
            copies = COPIES.get(rule.partition("_")[0], 0)
            if rule == "download":
                entry = raw_files.downloads(self._config)[wildcards["download"]]
                read = entry.get("size", 0) / 1e6
            memory, disk = SMALL_MB + round(copies * read), 1000 + round(read)
            found = Ask(memory, disk_mb=disk)
        return found.times(attempt)

    def _train(self, method: str, megabytes: Mapping[str, float], threads: int) -> Ask:
        if method not in self._options:
            self._options[method] = plan.method_options(self._config, method)
        options = self._options[method]
        share = read_share(self._feature, reads(options))
        training = share * megabytes.get("train_features", 0)
        testing = share * megabytes.get("test_features", 0)
        others = sum(n for name, n in megabytes.items() if "features" not in name)
        memory = min(kept_in_memory(training, testing), MOST_FEATURES_MB)
        rate = rates.TRAIN["cuda" if self._cuda else "cpu"]
        operations = options["epochs"] * training * 1e6 * OPERATIONS_A_BYTE
        seconds = operations / rate / (1 if self._cuda else threads)
        minutes = min(MOST_MINUTES, SMALL_MINUTES + round(2 * seconds / 60))
        return Ask(LARGE_MB + round(memory + COPIES["train"] * others), minutes)

    def _features(self, rule: str, wildcards: Mapping[str, str], threads: int) -> Ask:
        dataset, split = wildcards["dataset"], wildcards["split"]
        encoder = self._config["encoder"]
        views = len(plan.views_of(self._config, split))
        pixels = encoder["batch_size"] * views * encoder["image_size"] ** 2
        memory = LARGE_MB
        memory += round(pixels * (ENCODED_BYTES + DECODED_BYTES * threads) / 1e6)
        shards = self._config["datasets"][dataset]["splits"][split]["shards"]
        counted = sizes.count_split(self._config, dataset, split).images
        feature, operations = self._feature, self._operations
        if counted is None or feature is None or operations is None:
            return Ask(memory, 4 * SMALL_MINUTES, 10_000)
        images = -(-counted // shards) * views
        rate = rates.ENCODE["cuda" if self._cuda else "cpu"]
        seconds = images / (rates.DECODE * threads)
        seconds += images * operations / rate / (1 if self._cuda else threads)
        minutes = min(MOST_MINUTES, SMALL_MINUTES + round(2 * seconds / 60))
        size = feature.token_bytes if rule == "tokens" else feature.bytes
        return Ask(memory, minutes, 1000 + round(1.1 * images * size / 1e6))

    @functools.cached_property
    def _feature(self) -> sizes.Feature | None:
        return sizes.feature_shape(self._config)

    @functools.cached_property
    def _operations(self) -> float | None:
        return sizes.encode_operations(self._config)


def kept_in_memory(training: float, testing: float) -> float:
    """Return the memory in which a training keeps both splits of its features.

    It puts a split there if a share of what is left is enough for it, the training
    split first (`runtime.memory.place`).
    """
    return max(training, testing + HOST_SHARE * training) / HOST_SHARE


def reads(options: Mapping[str, Any]) -> str:
    """Return which cached feature a method reads: "map", "global", "max", "tokens".

    As `Head.reads` says it, without the import of torch.
    """
    head = options["head"]
    if reads_tokens(options):
        return "tokens"
    if head == "gcn":
        return "max"
    chosen = {"cosine": "visual", "linear": "feature"}.get(head)
    return "global" if chosen and options[chosen] == "global" else "map"


def read_share(feature: sizes.Feature | None, reads: str) -> float:
    """Return which share of the feature files a method reads; all if unknown."""
    if feature is None or reads == "tokens":  # which lie in files of their own
        return 1.0
    return feature.read_bytes(reads) / feature.bytes


def files_mb(paths: Sequence[str]) -> float:
    """Return the megabytes of a job's input, of a list of shards those of the shards.

    Raises:
        FileNotFoundError: a file is still to be made.
    """
    if len(paths) == 1 and os.path.basename(paths[0]) == shard_list.NAME:
        size_mb(paths[0])
        return _beside_mb(os.path.dirname(paths[0]))
    return sum(map(size_mb, paths))


@functools.cache
def _beside_mb(folder: str) -> float:
    """Return the megabytes of the feature files in a folder."""
    with os.scandir(folder) as entries:
        found = [entry for entry in entries if entry.name.endswith(".h5")]
        return sum(entry.stat().st_size for entry in found) / 1e6


@functools.cache
def size_mb(path: str) -> float:
    """Return a file's megabytes, which do not change while a workflow runs.

    A folder, as of pictures in place of their archive, counts for nothing.

    Raises:
        FileNotFoundError: it is still to be made, which Snakemake waits for.
    """
    found = os.stat(path)
    return 0.0 if os.path.isdir(path) else found.st_size / 1e6
