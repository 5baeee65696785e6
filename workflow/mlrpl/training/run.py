"""One setting: its input files, checked against each other, and its output files."""

import json
import os
import platform
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save

from mlrpl.config import dependencies
from mlrpl.config.options import Options
from mlrpl.data.index import Index
from mlrpl.data.row_blocks import label_counts
from mlrpl.errors import UserError
from mlrpl.methods.inputs import Inputs
from mlrpl.methods.method import Method
from mlrpl.methods.scores import THRESHOLDS
from mlrpl.runtime import hdf5
from mlrpl.runtime.cost import Meter
from mlrpl.runtime.device import choose_device, device_name, precision_on
from mlrpl.runtime.storage import atomic_path
from mlrpl.text.clip_text import ClipText
from mlrpl.training.batches import Split
from mlrpl.training.checkpoints import Checkpoint, fingerprint
from mlrpl.training.feature_cache import FeatureCache
from mlrpl.training.history import Recorder, write_history
from mlrpl.training.loop import MeanAP, Result, Splits, train
from mlrpl.training.stored import read_context, read_known, read_vectors
from mlrpl.training.validation_split import divided

# Bytes of features up to which a checkpoint's fingerprint reads them all. Of more it
# takes what they say of themselves, their sizes and times: COCO's 25 GB take longer to
# hash than a killed training would have lost.
READ_WHOLE = 2**30


@dataclass(frozen=True)
class Setting:
    """What one run is, and the files that it starts from."""

    dataset: str
    method: str
    prop: float
    seed: int
    options: Options
    train_features: Sequence[str]
    test_features: Sequence[str]
    train_index: str
    test_index: str
    known: str
    glove: str
    clip: str
    context: str | None = None

    def small_files(self) -> list[str]:
        """Return the files besides the features."""
        files = [self.train_index, self.test_index, self.known, self.glove, self.clip]
        return files + ([self.context] if self.context else [])


@dataclass(frozen=True)
class Loaded:
    """The contents of a setting's files, checked against each other."""

    clip: ClipText
    train_index: Index
    test_index: Index
    known: np.ndarray
    vectors: np.ndarray
    train_cache: FeatureCache
    test_cache: FeatureCache
    context: torch.Tensor | None


def run_setting(
    setting: Setting,
    output_dir: str | os.PathLike,
    device: str,
    threads: int,
    mean_ap: MeanAP,
    tensorboard: bool = False,
) -> None:
    """Train a setting and write weights, history, scores and `run.json`.

    The history grows while the training runs, the others are written when it has ended;
    `run.json` comes last. A training that
    is killed before leaves `checkpoint.pt`, from which the next call goes on if all is
    as it was: options, inputs, code, versions, device. One that is told to stop
    (SIGTERM: status 143) saves there first what it has.

    Args:
        setting: what to train, from which files.
        output_dir: the run's folder.
        device: "auto", "cpu" or "cuda".
        threads: torch's, on a CPU.
        mean_ap: see `training.loop.train`.
        tensorboard: write TensorBoard's event files too.

    Raises:
        UserError: when files are missing, damaged or do not belong together, or
            TensorBoard is asked for and not installed.
    """
    started = time.perf_counter()
    torch.set_num_threads(threads)
    recorder = Recorder(output_dir, tensorboard)
    target = choose_device(device, deterministic=True)
    meter = Meter(target)
    loaded = load(setting)
    method, splits = build(setting, loaded, target)
    computed = [device_name(target), threads]
    made_of = fingerprint_of(setting, loaded, computed)
    checkpoint = Checkpoint(Path(output_dir) / "checkpoint.pt", made_of)
    ready = time.perf_counter()
    with checkpoint.saved_when_stopped():
        result = train(
            *(method, setting.options, splits, setting.seed, mean_ap),
            checkpoint=checkpoint,
            record=recorder,
        )
        seconds = {"load": ready - started, "train": time.perf_counter() - ready}
        run = describe(setting, loaded, method, target, threads, seconds)
        run |= meter.read()
        held = None
        if splits.validation is not None:
            run["images"]["train"] = len(splits.training)
            run["images"]["validation"] = len(splits.validation)
            held = splits.validation.labels.cpu().numpy()
        if (images := loaded.train_index.dataset) != setting.dataset:
            run["same_images_as"] = images
        write_run(
            Path(output_dir), method, result, run, setting, loaded.test_index, held
        )
    checkpoint.remove()


def load(setting: Setting) -> Loaded:
    """Read a setting's files, and check that they belong together.

    Raises:
        UserError: when files are missing, damaged or do not belong together.
    """
    clip = ClipText(setting.clip)
    train_index = Index.load(setting.train_index)
    test_index = Index.load(setting.test_index)
    check_classes(setting, clip, train_index, test_index)
    known = read_known(setting.known, train_index)
    vectors = read_vectors(setting.glove, len(clip.classes))
    train_cache = FeatureCache(setting.train_features)
    test_cache = FeatureCache(setting.test_features)
    train_cache.check(train_index, clip.metadata)
    test_cache.check(test_index, clip.metadata)
    train_cache.check_like(test_cache)
    return Loaded(
        *(clip, train_index, test_index, known, vectors, train_cache, test_cache),
        context=read_context(
            setting.options.get("context_init", "random"), setting.context, clip
        ),
    )


def build(
    setting: Setting, loaded: Loaded, device: torch.device
) -> tuple[Method, Splits]:
    """Return the method and the images, on the device.

    Of images that are held out for validation, only known labels are used, and these
    for nothing but the validation mAP: a choice made with others would not be one of a
    setting in which these are unknown.
    """
    known, share = loaded.known, setting.options.validation
    kept, out = divided(known, share, setting.seed)
    trained_on = known if len(kept) == len(known) else known[kept]
    warn_without_positives(setting, trained_on, loaded.train_index.classes)
    cache, positions = loaded.train_cache, None
    if cache.has("tokens"):
        positions = torch.from_numpy(cache.token_positions())
    inputs = Inputs(
        map_channels=int(loaded.clip.metadata["map_channels"]),
        embed_dim=loaded.clip.tensor("text_projection").shape[1],
        class_vectors=torch.from_numpy(loaded.vectors.astype(np.float32)),
        clip=loaded.clip,
        known=torch.from_numpy(trained_on),
        context=loaded.context,
        grid=cache.grid,
        token_positions=positions,
    )
    method = Method.from_options(setting.options, inputs, setting.seed).to(device)
    reads, labels = method.reads, loaded.test_index.labels
    further = method.further_views
    whole = Split(loaded.train_cache, known, reads, device, further=further)
    test = Split(loaded.test_cache, labels, reads, device, views=1)
    if not share:
        return method, Splits(whole, test)
    return method, Splits(whole.part(kept), test, whole.part(out))


def fingerprint_of(setting: Setting, loaded: Loaded, computed: list) -> str:
    """Return a hash of all that a setting's numbers depend on.

    Args:
        setting: its names, options and files, which are hashed whole.
        loaded: what the features say of themselves.
        computed: on which device, with how many threads.
    """
    features = [*setting.train_features, *setting.test_features]
    stats = [os.stat(path) for path in features]
    small = sum(stat.st_size for stat in stats) <= READ_WHOLE
    modules = dependencies.training_modules(setting.options)
    return fingerprint(
        {
            "run": [setting.dataset, setting.method, setting.prop, setting.seed],
            "options": setting.options.to_dict(),
            "train": loaded.train_cache.provenance,
            "test": loaded.test_cache.provenance,
            "features": [] if small else [[s.st_size, s.st_mtime_ns] for s in stats],
            "code": dependencies.code_hash(*modules),
            "versions": [torch.__version__, np.__version__],
            "computed": computed,
        },
        [*setting.small_files(), *(features if small else [])],
    )


def describe(
    setting: Setting,
    loaded: Loaded,
    method: Method,
    device: torch.device,
    threads: int,
    seconds: dict[str, float],
) -> dict:
    """Return the content of `run.json`."""
    known = loaded.known
    return {
        "dataset": setting.dataset,
        "method": setting.method,
        "prop": setting.prop,
        "seed": setting.seed,
        "options": setting.options.to_dict(),
        "parameters": method.parameter_counts(),
        "images": {"train": len(known), "test": len(loaded.test_index.images)},
        "known": label_counts(known),
        "encoder": loaded.clip.metadata.get("encoder"),
        "weights_sha256": loaded.clip.metadata.get("weights_sha256"),
        "device": device_name(device),
        "precision": precision_on(device, setting.options.precision),
        "threads": threads,
        "seconds": seconds,
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
        },
    }


def check_classes(
    setting: Setting, clip: ClipText, train_index: Index, test_index: Index
) -> None:
    """Check that all files list the same classes in the same order."""
    for path, classes in (
        (setting.test_index, test_index.classes),
        (setting.clip, clip.classes),
    ):
        if tuple(classes) != tuple(train_index.classes):
            raise UserError(
                f"{path}: its classes are not those of {setting.train_index}; remake "
                "both from one data set"
            )


def warn_without_positives(
    setting: Setting, known: np.ndarray, classes: Sequence[str]
) -> None:
    """Say which classes are left without a known positive; training goes on."""
    empty = [classes[c] for c in np.flatnonzero(known.max(axis=0, initial=0) <= 0)]
    if empty:
        print(
            f"warning: {setting.known}: no known positive of {', '.join(empty)}",
            file=sys.stderr,
        )


def write_run(
    folder: Path,
    method: Method,
    result: Result,
    run: dict,
    setting: Setting,
    test_index: Index,
    held: np.ndarray | None,
) -> None:
    """Write a run's files, each whole or not at all.

    Args:
        folder: of the run.
        method: with its weights after the last epoch.
        result: what the training found.
        run: the content of `run.json`.
        setting: what was trained.
        test_index: of the images that were scored.
        held: known labels of the held-out images [V, C]; None without any.
    """
    options = setting.options
    weights = {name: tensor.cpu() for name, tensor in method.state_dict().items()}
    with atomic_path(folder / "weights.safetensors") as path:
        path.write_bytes(save(weights))
    write_history(folder / "history.csv", result.history)
    scores = {"last": result.last, "best": result.best}
    if (validated := result.validated) is not None:
        scores["validated"] = validated.test
        scores["validation/labels"] = held
        scores["validation/last"] = validated.held_last
        scores["validation/validated"] = validated.held
    with hdf5.writing(folder / "scores.h5") as file:
        for name, array in scores.items():
            file[name] = array
        file.attrs["threshold"] = THRESHOLDS[options.score]
        file.attrs["epoch_last"] = options.epochs
        file.attrs["epoch_best"] = result.best_epoch
        if validated is not None:
            file.attrs["epoch_validated"] = validated.epoch
        file.attrs["images_sha256"] = test_index.hash()
        file.attrs["scores_sha256"] = hdf5.sha256_of(*scores.values())
    with atomic_path(folder / "run.json") as path:
        path.write_text(json.dumps(run, indent=1) + "\n")
