"""A training step of every method: its time and peak memory.

Methods with a transfer are measured at work: after the epochs without it, with a memory
or prototypes of random features. Beside SST, HST, SARB and DSRB stands the literal form
of their public code (`literal_transfers`), from the same weights on the same batch.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from mlrpl.bench import literal_transfers
from mlrpl.bench.inputs import load_config, make_method, make_options
from mlrpl.bench.measuring import in_fresh_process
from mlrpl.bench.report import Row
from mlrpl.bench.sizes import Sizes
from mlrpl.bench.whole_step import measure_whole
from mlrpl.methods.method import Method
from mlrpl.methods.transfers.memory import Memory
from mlrpl.methods.transfers.prototypes import KMeansPrototypes
from mlrpl.methods.transfers.quadrants import QuadrantPrototypes
from mlrpl.runtime.device import choose_device
from mlrpl.text.clip_text import ClipText

DATASET = "coco2014"
PRODUCT, LITERAL = "product", "literal"


@dataclass(frozen=True)
class Taken:
    """What one step takes.

    Attributes:
        time: seconds of the training loop's step; of the product's on a GPU a graph.
        memory: bytes at the peak of the first step, above model and batch.
        compared: whether there is a literal form.
    """

    time: float
    memory: int
    compared: bool


@torch.no_grad()
def put_to_work(method: Method) -> None:
    """Put a method into its last stage, with random features to transfer from."""
    method.begin()
    for module in method.transfer.modules():
        if isinstance(module, Memory):
            module.features.normal_()
        elif isinstance(module, KMeansPrototypes | QuadrantPrototypes):
            for name, buffer in module.named_buffers():
                buffer.normal_() if name in ("centers", "means") else buffer.fill_(1)


def measure_variant(
    variant: str,
    name: str,
    images: int,
    clip: str,
    sizes: Sizes,
    device: str,
    threads: int,
) -> Taken:
    """Measure a method's step on so many images.

    Args:
        variant: "product" or "literal".
        name: the method, in the config or with overrides.
        images: B.
        clip: the text side of CLIP, safetensors.
        sizes: of everything else.
        device: "cpu" or "cuda".
        threads: of torch.
    """
    torch.set_num_threads(threads)
    target = choose_device(device, deterministic=True)
    options, texts = make_options(sizes, load_config(), name), ClipText(clip)
    method = make_method(sizes, options, texts)
    put_to_work(method)
    compared = literal_transfers.has_literal(method)
    if variant == LITERAL:
        method = literal_transfers.literal(method)
    graph = variant == PRODUCT
    step = measure_whole(method, options, sizes, texts, images, target, graph=graph)
    return Taken(step.time, max(step.memory, 1), compared)


def measure(
    sizes: Sizes,
    device: torch.device,
    threads: int,
    texts: dict[str, Path],
    names: Sequence[str],
) -> list[Row]:
    """Measure the steps of methods, at their own batch sizes and at that of all.

    Args:
        sizes: of the steps.
        device: where they run.
        threads: of torch.
        texts: the text side of CLIP of each data set.
        names: methods, in the config or with overrides.
    """
    config = load_config()

    def taken(variant: str, name: str, images: int) -> Taken:
        print(f"methods: {name}, {variant}, B {images} ...", file=sys.stderr)
        given = (str(texts[DATASET]), sizes, device.type, threads)
        fresh = partial(in_fresh_process, measure_variant)
        run = fresh if sizes.apart else measure_variant
        return run(variant, name, images, *given)

    rows = []
    for name in names:
        own = make_options(sizes, config, name).batch_size
        found: dict[tuple[str, int], Taken] = {}
        for images in dict.fromkeys((own, sizes.batch)):
            found[PRODUCT, images] = taken(PRODUCT, name, images)
        if found[PRODUCT, own].compared:
            limit = sizes.literal_batch
            for images in dict.fromkeys((min(own, limit), min(sizes.batch, limit))):
                if (PRODUCT, images) not in found:
                    found[PRODUCT, images] = taken(PRODUCT, name, images)
                found[LITERAL, images] = taken(LITERAL, name, images)
        rows += _rows(name, own, found)
    return rows


def _rows(name: str, own: int, found: dict[tuple[str, int], Taken]) -> list[Row]:
    rows = []
    for (variant, images), step in found.items():
        what = f"{name}, B {images}"
        note = "its own batch size" if images == own else ""
        if variant == LITERAL:
            what, note = f"{name} literal, B {images}", "the public code's formulas"
        peak = "peak of the first step above model and batch"
        rows.append(Row(what, step.time, "s", note))
        rows.append(Row(f"{what}: memory", step.memory / 1e9, "GB", peak))
    for (variant, images), theirs in found.items():
        if variant == LITERAL:
            ours, what = found[PRODUCT, images], f"{name}, B {images}: literal / ours"
            same = "both measured in this run"
            rows.append(Row(f"{what}, time", theirs.time / ours.time, "x", same))
            ratio = theirs.memory / ours.memory
            rows.append(Row(f"{what}, memory", ratio, "x", same))
    return rows
