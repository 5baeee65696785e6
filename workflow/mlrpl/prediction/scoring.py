"""Pictures through encoder and head, in batches: probabilities, and attention."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from mlrpl.encoder.clip import Clip
from mlrpl.encoder.features import InParts, encode_batch, encode_singly
from mlrpl.encoder.tokens import make_reader
from mlrpl.methods.attention import attention
from mlrpl.methods.method import Method
from mlrpl.prediction.pictures import Pictures
from mlrpl.prediction.trained import Trained


@dataclass(frozen=True)
class Scored:
    """One picture.

    Attributes:
        path: its file.
        fault: why it has no scores; None if it has.
        probabilities: [C], of each class to be in the picture.
        attention: [C, rows, columns] over the locations, where it was asked for.
    """

    path: str
    fault: str | None = None
    probabilities: np.ndarray | None = None
    attention: np.ndarray | None = None


def score_pictures(
    trained: Trained,
    clip: Clip,
    paths: Sequence[str],
    *,
    device: torch.device,
    batch_size: int = 64,
    threads: int = 1,
    maps: bool = False,
) -> Iterator[Scored]:
    """Score pictures in order, a batch in memory at a time.

    As `encoder.features` and a training's test do it: on a CPU a picture a thread, and
    the features rounded to the cache's fp16, so that a picture of the test set gets the
    score that its run has of it.

    Args:
        trained: the method.
        clip: its encoder.
        paths: of the pictures.
        device: where both run.
        batch_size: pictures that are read, and on a GPU encoded, at once.
        threads: processes that decode, and on a CPU threads that encode.
        maps: return the attention too.

    Raises:
        UserError: maps of a method that has no attention.
    """
    method = trained.method.to(device)
    visual = clip.model.visual.to(device, memory_format=torch.channels_last)
    tower = make_reader(visual, method.reads == "tokens")
    run = partial(encode_batch, tower, trained.preparation, device)
    loader = DataLoader(
        Pictures(paths, trained.preparation),
        batch_size=batch_size,
        num_workers=threads if threads > 1 and len(paths) > batch_size else 0,
        collate_fn=list,
        pin_memory=False,
    )
    with (
        torch.inference_mode(),
        ThreadPoolExecutor(threads, "encode", torch.set_num_threads, (1,)) as pool,
    ):
        encode = partial(encode_singly, run, pool)
        if device.type == "cuda":
            encode = InParts(run, batch_size)
        prepared = method.prepare()
        row = 0
        for batch in loader:
            names = paths[row : row + len(batch)]
            row += len(batch)
            pixels = [item for item in batch if not isinstance(item, str)]
            found: Iterator[tuple[np.ndarray, np.ndarray | None]] = iter(())
            if pixels:
                encoded = encode(torch.from_numpy(np.stack(pixels)))
                features = encoded.arrays()[method.reads].half()
                found = scores_of(method, features, prepared, encoded.grid, maps)
            for name, item in zip(names, batch, strict=True):
                if isinstance(item, str):
                    yield Scored(name, fault=item)
                else:
                    yield Scored(name, None, *next(found))


def scores_of(
    method: Method,
    features: Tensor,
    prepared: object,
    grid: tuple[int, int],
    maps: bool,
) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    """Yield the probabilities [C] and the attention [C, rows, columns] of images.

    Args:
        method: the method.
        features: fp16, as its head reads them.
        prepared: what its `prepare` returned.
        grid: rows and columns.
        maps: with the attention.
    """
    features = features.to(method.device).float()
    probabilities = method.scores(features, prepared).p.cpu().numpy()
    if not maps:
        yield from ((row, None) for row in probabilities)
        return
    attended = attention(method, features).unflatten(-1, grid).cpu().numpy()
    yield from zip(probabilities, attended, strict=True)
