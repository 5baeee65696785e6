"""The memory that trainings take which run at the same time."""

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mlrpl.config import plan
from mlrpl.doctor import trainings
from mlrpl.doctor.work import Sizes, Work, kind_of
from mlrpl.runtime import memory

# Of a process besides its features, its method and a step: Python and torch, as
# measured on a training of the demo. With CUDA more is mapped, which has not been
# measured.
PROCESS_BYTES = 750_000_000
CUDA_PROCESS_BYTES = 3_000_000_000
# On the card besides the features: the context, the text tower's activations and a
# batch, or an encoder's batch of 64 images.
CARD_BYTES = 4_000_000_000


@dataclass(frozen=True)
class MemoryNeed:
    """Bytes that the trainings take which run at the same time.

    Attributes:
        at_once: how many those are.
        largest: the run that takes the most.
        features: bytes of its features, training and test.
        host: bytes of host memory, of all at once.
        card: bytes of GPU memory; None without a GPU.
        on_card: bytes of its features that go there, by the rule of `training.batches`.
        on_disk: bytes of its features that stay on the disk for want of memory.
        unknown: data sets of unknown size, and methods (with their data set) that
            cannot be counted; both are left out.
    """

    at_once: int
    largest: str
    features: int
    host: int
    card: int | None
    on_card: int = 0
    on_disk: int = 0
    unknown: Sequence[str] = field(default=())


def memory_need(
    config: Mapping[str, Any],
    work: Work,
    found: Sizes,
    cores: int,
    card: int | None,
    available: int | None = None,
) -> MemoryNeed | None:
    """Count the memory of the largest trainings that may run at the same time.

    Args:
        config: the checked configuration.
        work: its runs.
        found: sizes.
        cores: cores that Snakemake is given.
        card: free bytes of the card; None to train on the CPU, as many at once as
            there are cores for.
        available: bytes of the host's memory that are not in use; None if unknown.

    Returns:
        None when nothing is left to train.
    """
    views = len(plan.views_of(config, "train"))
    needs: list[tuple[int, int, str]] = []
    unknown: dict[str, None] = {}
    step = 0
    for run in work.to_do:
        name, method = run.split("/")[:2]
        train, test = found.splits[name]["train"], found.splits[name]["test"]
        if None in (found.feature, train.images, test.images):
            unknown[name] = None
            continue
        count = found.count(config, run)
        if count is None:
            unknown[kind_of(run)] = None
            continue
        image = found.feature.read_bytes(count.reads)
        needs.append((train.images * views * image, test.images * image, run))
        options = plan.method_options(config, method)
        step = max(step, trainings.training_bytes(options, count))
    if not work.to_do:
        return None
    threads = min(config["threads"]["train"], cores)
    # Unless `device` is cpu, a training asks for the GPU, even where there is none.
    at_once = 1
    if config["device"] == "cpu":
        at_once = max(1, min(cores // threads, len(work.to_do)))
    most = heapq.nlargest(at_once, needs, key=lambda need: need[0] + need[1])
    train_bytes, test_bytes, run = most[0] if most else (0, 0, "")
    process = PROCESS_BYTES + step if card is None else CUDA_PROCESS_BYTES
    if at_once > 1:  # each looks at the memory before the others have filled it
        host = sum(a + b for a, b, _ in most) + at_once * process
        return MemoryNeed(
            at_once, run, train_bytes + test_bytes, host, None, unknown=list(unknown)
        )
    put = {"device": 0, "host": 0, "disk": 0}
    for size in (train_bytes, test_bytes):
        on_card = None if card is None else card - put["device"]
        left = None if available is None else available - process - put["host"]
        put[memory.place(size, on_card, left)] += size
    return MemoryNeed(
        at_once,
        run,
        train_bytes + test_bytes,
        process + put["host"],
        None if card is None else CARD_BYTES + put["device"],
        put["device"],
        put["disk"],
        list(unknown),
    )
