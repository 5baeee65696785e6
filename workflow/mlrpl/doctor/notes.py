"""What does not stop a run, and is worth knowing before it."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from mlrpl.archives.formats import some
from mlrpl.config import raw_files
from mlrpl.data.index import Index
from mlrpl.errors import UserError

# Batches of decoded images that wait for the encoder, for each process that decodes.
WAITING = 2


def notes(
    config: Mapping[str, Any], datasets: Collection[str], shared_memory: int | None
) -> list[str]:
    """Return one line for each thing.

    Args:
        config: the checked configuration.
        datasets: the data sets that the runs are on.
        shared_memory: free bytes of /dev/shm; None without it.
    """
    found = [_small_shared_memory(config, shared_memory)]
    found += [_shared_pictures(config, name) for name in datasets]
    return [note for note in found if note]


def _small_shared_memory(config: Mapping[str, Any], free: int | None) -> str | None:
    encoder, threads = config["encoder"], config["threads"]["features"]
    batch = 3 * encoder["image_size"] ** 2 * len(encoder["views"])
    needed = WAITING * threads * batch * encoder["batch_size"]
    if free is None or threads == 1 or needed <= free:
        return None
    return (
        f"/dev/shm has {free / 1e6:,.0f} MB free, and the batches of decoded images "
        f"take up to {needed / 1e6:,.0f} MB: the rest goes through pipes, which is "
        "slower. A container gets more by --shm-size; fewer threads.features or a "
        "smaller encoder.batch_size take less"
    )


def _shared_pictures(config: Mapping[str, Any], dataset: str) -> str | None:
    """Say which test images are training images, if the indexes are there.

    By name, in one archive; the index command compares contents too.
    """
    sources = {
        raw_files.split_source(config, dataset, split, "images")
        for split in ("train", "test")
    }
    folder = Path(config["results"]) / "data" / dataset
    try:
        train, test = (Index.load(folder / f"{s}.h5") for s in ("train", "test"))
    except UserError:
        return None
    known = set(train.images)
    shared = [name for name in test.images if name in known]
    if len(sources) > 1 or not shared:
        return None
    return (
        f"{dataset}: {len(shared)} of {len(test.images)} test images are training "
        f"images, too ({some(shared, 3)}); a test on them says little"
    )
