"""The resamples of runs that are named by their folders."""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from mlrpl.errors import UserError
from mlrpl.statistics.resample_files import SETTING, Resamples, resample


def load_runs(
    places: Iterable[str | Path],
    epoch: str,
    resamples: int,
    indexes: Mapping[str, str],
) -> Iterator[Resamples]:
    """Yield the resamples of runs, made where there is no file of them.

    Args:
        places: files of resamples, run folders, or folders above these.
        epoch: `last`, `best` or `validated`, of the folders.
        resamples: R, where they are made.
        indexes: by data set, the index of its test images, where it does not lie in
            `data/{dataset}/test.h5` beside the folder `runs`.

    Raises:
        UserError: a place without a run, or a file that cannot be read.
    """
    for place in map(Path, places):
        if place.is_dir():
            for folder in run_folders(place):
                yield _of_folder(folder, epoch, resamples, indexes)
        else:
            yield Resamples.load(place)


def run_folders(place: Path) -> list[Path]:
    """Return the run folders at or below a place.

    Raises:
        UserError: there is none.
    """
    found = sorted(path.parent for path in place.rglob("scores.h5"))
    if not found:
        raise UserError(
            f"{place}: no run is in it (no scores.h5); give folders of runs, such as "
            "results/runs/voc2007/sarl"
        )
    return found


def _of_folder(
    folder: Path, epoch: str, resamples: int, indexes: Mapping[str, str]
) -> Resamples:
    scores = folder / "scores.h5"
    made = folder / f"resamples_{epoch}.h5"
    if made.is_file() and made.stat().st_mtime >= scores.stat().st_mtime:
        found = Resamples.load(made)
        if found.resamples == resamples:
            return found
    setting = read_setting(folder / "run.json")
    dataset = setting["dataset"]
    beside = folder.joinpath(*[".."] * 5, "data", dataset, "test.h5").resolve()
    index = Path(indexes.get(dataset, beside))
    if not index.is_file():
        raise UserError(
            f"{folder}: the index of its test images is not at {index}; give it with "
            f"--index {dataset}=PATH"
        )
    return resample(setting, scores, index, epoch, resamples)


def read_setting(path: Path) -> dict[str, Any]:
    """Return data set, method, proportion and seed out of a `run.json`.

    Raises:
        UserError: a file that cannot be read, or that lacks one of them.
    """
    try:
        run = json.loads(path.read_text(encoding="utf-8"))
        return {key: run[key] for key in SETTING}
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UserError(
            f"{path}: does not say what was run ({reason}); train the setting again"
        ) from error
