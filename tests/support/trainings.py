"""Trainings on the tiny files: through the command line, and built in place."""

import json
from pathlib import Path

import numpy as np
import torch

from mlrpl.__main__ import main
from mlrpl.config.options import Options
from mlrpl.evaluation.average_precision import mean_average_precision
from mlrpl.methods.inputs import Inputs
from mlrpl.methods.method import Method
from mlrpl.text.clip_text import ClipText
from mlrpl.training.batches import Split
from mlrpl.training.feature_cache import FeatureCache
from mlrpl.training.loop import Result, Splits, train
from support import tiny


def scoped(**options) -> dict:
    """Options of a fast training with changes, without those that do not apply then."""
    values = {**tiny.FAST, **options}
    while True:
        try:
            Options.from_dict(values)
            return values
        except Exception as error:
            name = str(error).removeprefix("options: ").split(" has no effect here")[0]
            if name not in tiny.FAST or name not in values:
                return values
            del values[name]


def arguments(files: tiny.Files, folder: Path, seed: int = 0, **options) -> list[str]:
    """The command line of `mlrpl train`."""
    setting = ["--dataset", "tiny", "--method", "sarl", "--prop", "0.5"]
    setting += ["--seed", str(seed), "--options", json.dumps(scoped(**options))]
    places = [*files.arguments(), "--output-dir", str(folder)]
    return ["train", *setting, *places, "--device", "cpu"]


def run(files: tiny.Files, folder: Path, seed: int = 0, **options) -> int:
    """Train through the command line; return the exit status."""
    return main(arguments(files, folder, seed, **options))


def make(
    files: tiny.Files, device: str = "cpu", seed: int = 0, **options
) -> tuple[Method, Split, Split, Options]:
    """A method, the splits of training and test, and the options."""
    target = torch.device(device)
    found = Options.from_dict(scoped(**options))
    known = np.load(files.known)
    cache = FeatureCache(files.train_features)
    inputs = Inputs(
        map_channels=tiny.CHANNELS,
        embed_dim=tiny.DIM,
        class_vectors=torch.from_numpy(np.load(files.glove)),
        clip=ClipText(files.clip),
        known=torch.from_numpy(known),
        grid=(tiny.GRID, tiny.GRID),
        token_positions=torch.from_numpy(cache.token_positions()),
    )
    method = Method.from_options(found, inputs, seed).to(target)
    reads = method.reads
    training = Split(cache, known, reads, target, further=method.further_views)
    labels = known[: len(known) // 2]
    test = Split(FeatureCache(files.test_features), labels, reads, target, views=1)
    return method, training, test, found


def train_quietly(method, options, training, test, held=None, **more) -> Result:
    """Train in place from seed 0, without a progress bar."""
    splits = Splits(training, test, held)
    return train(
        *(method, options, splits, 0, mean_average_precision),
        progress=False,
        **more,
    )


class StandIn:
    """A capture without a GPU: replayed, it computes again into the same tensors."""

    def __call__(self, compute):
        for _ in range(3):
            outputs = [tensor.clone() for tensor in compute()]

        def replay():
            for output, tensor in zip(outputs, compute(), strict=True):
                output.copy_(tensor)

        return replay, outputs
