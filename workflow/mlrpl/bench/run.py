"""All parts of the benchmark, one after the other."""

import os
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import torch

from mlrpl.bench import (
    bootstrap,
    cache,
    encoder,
    epochs,
    evaluation,
    inputs,
    method_steps,
    report,
    scale,
    step,
)
from mlrpl.bench import sizes as all_sizes
from mlrpl.bench.random_clip import random_clip, write_texts
from mlrpl.bench.report import Row
from mlrpl.encoder.towers import make_tower
from mlrpl.errors import UserError
from mlrpl.runtime.device import choose_device


def run_parts(
    parts: Sequence[str],
    titles: Mapping[str, str],
    methods: Sequence[str] | None,
    device: str,
    threads: int | None,
    quick: bool,
    literal_batch: int | None,
    output: str,
) -> None:
    """Measure, print the table, and write `bench.md` and `bench.json`.

    Args:
        parts: what to measure, in this order.
        titles: what to call the parts.
        methods: of which to measure a step; None for all of the configuration.
        device: "auto", "cpu" or "cuda".
        threads: of torch; None for all cores.
        quick: tiny sizes.
        literal_batch: images of the literal step; None for the default.
        output: the folder; inputs that are made for the measurement lie there too, as
            long as it runs.

    Raises:
        UserError: no such device or method, no configuration, or a folder that cannot
            be written to.
    """
    target = choose_device(device)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    if quick:  # threads wait longer for each other than such small work takes
        threads = threads or 1
    threads = threads or cores or os.cpu_count() or 1
    torch.set_num_threads(threads)
    sizes = all_sizes.quick() if quick else all_sizes.paper(target.type)
    if literal_batch:
        sizes = replace(sizes, literal_batch=literal_batch)
    config = inputs.load_config()
    names = list(dict.fromkeys(methods or inputs.compared(config)))
    for name in (*names, step.METHOD):  # an unknown one is told before all else
        options = inputs.make_options(sizes, config, name)
    found = report.environment(target, threads, options.precision)
    found["quick"] = quick
    folder = Path(output)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        scratch = tempfile.TemporaryDirectory(prefix=".bench.", dir=folder)
    except OSError as error:
        raise UserError(
            f"--output: {folder}: cannot be written to ({error.strerror}); give "
            "another folder"
        ) from error
    results: dict[str, list[Row]] = {}
    with scratch as made:
        work = Path(made)
        clip = random_clip(sizes)
        texts = write_texts(sizes, clip, work)
        channels = make_tower(clip.model.visual).channels
        embed_dim = int(clip.config["embed_dim"])
        measures = {
            "encoder": lambda: encoder.measure(sizes, target, threads, clip, work),
            "cache": lambda: cache.measure(sizes, channels, embed_dim, work),
            "step": lambda: step.measure(sizes, target, threads, texts),
            "methods": lambda: method_steps.measure(
                sizes, target, threads, texts, names
            ),
            "epoch": lambda: epochs.measure(sizes, target, work, texts),
            "evaluation": lambda: evaluation.measure(sizes, work),
            "bootstrap": lambda: bootstrap.measure(sizes),
            "scale": lambda: scale.measure(sizes, work),
        }
        for part in parts:
            start = time.perf_counter()
            print(f"{part} ...", file=sys.stderr, flush=True)
            results[part] = measures[part]()
            took = time.perf_counter() - start
            print(f"{part}: took {took:.0f} s", file=sys.stderr, flush=True)
    found["load_average_after"] = os.getloadavg()[0]
    text = report.markdown(found, results, titles)
    print(text, end="")
    report.write(folder, found, asdict(sizes), results, text)
