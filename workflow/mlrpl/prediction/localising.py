"""How well the attention of one run finds the objects in the test images."""

import json
from collections.abc import Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mlrpl.data.boxes import Boxes
from mlrpl.data.index import Index
from mlrpl.errors import UserError
from mlrpl.evaluation.localisation import by_chance, cells, measured, percentages
from mlrpl.methods.attention import attention, check_attention
from mlrpl.methods.method import Method
from mlrpl.prediction.runs import load_run
from mlrpl.runtime.storage import atomic_path
from mlrpl.training.feature_cache import FeatureCache

# Images at once: maps in fp32, and the attention's tensors of the same order.
ROWS = 64


def localise(
    run: str | PathLike,
    index: Index,
    boxes: Boxes,
    features: Sequence[str | PathLike],
    device: torch.device,
) -> dict[str, Any]:
    """Return the measures of `evaluation.localisation`, over all labels and by class.

    Args:
        run: the run's folder.
        index: the test images.
        boxes: of their objects.
        features: all shards of the test images.
        device: where the attention is computed.

    Returns:
        The run's `dataset`, `method`, `prop` and `seed`; `grid`; `labels`, how many
        positive labels have a box, and `without_box`, how many have none and are left
        out; `attention` and `chance`, each {measure: percent}; `classes`, by name with
        labels, attention and chance of their own.

    Raises:
        UserError: a method without attention, or files that do not belong together.
    """
    trained = load_run(run)
    check_attention(trained.method, str(run))
    if trained.classes != index.classes:
        raise UserError(
            f"{run}: was trained on other classes than the index has; make both from "
            "one data set"
        )
    cache = FeatureCache(features)
    cache.check(index, trained.inputs.clip.metadata)
    method = trained.method.to(device)
    found: list[list[tuple[dict, dict]]] = [[] for _ in index.classes]
    without = 0
    for row, attended in attentions(method, cache):
        for c in np.flatnonzero(index.labels[row] > 0):
            corners = boxes.of(row, c)
            if not len(corners):
                without += 1
                continue
            there = cells(corners, cache.grid)
            found[c].append((measured(attended[c], there), by_chance(there)))
    everything = [pair for pairs in found for pair in pairs]
    return {
        **{key: trained.run[key] for key in ("dataset", "method", "prop", "seed")},
        "grid": list(cache.grid),
        "without_box": without,
        **_summary(everything),
        "classes": {
            name: _summary(pairs)
            for name, pairs in zip(index.classes, found, strict=True)
        },
    }


@torch.inference_mode()
def attentions(method: Method, cache: FeatureCache) -> Iterator[tuple[int, np.ndarray]]:
    """Yield each image's row and attention [C, rows, columns], in order."""
    for start, maps in cache.pieces("map", rows=ROWS):
        features = torch.from_numpy(maps).to(method.device).float()
        attended = attention(method, features).unflatten(-1, cache.grid)
        yield from enumerate(attended.cpu().numpy(), start)


def _summary(pairs: Sequence[tuple[dict, dict]]) -> dict[str, Any]:
    return {
        "labels": len(pairs),
        "attention": percentages(ours for ours, _ in pairs),
        "chance": percentages(chance for _, chance in pairs),
    }


def write_localisation(found: Mapping[str, Any], path: str | PathLike) -> None:
    """Write `localisation.json`; equal numbers give equal bytes."""
    with atomic_path(Path(path)) as temporary:
        temporary.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
