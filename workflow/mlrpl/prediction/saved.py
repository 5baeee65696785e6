"""A trained setting from wherever it was saved."""

import os
from pathlib import Path

from mlrpl.errors import UserError
from mlrpl.prediction.exported import read_export
from mlrpl.prediction.runs import load_run
from mlrpl.prediction.trained import Trained


def load_trained(path: str | os.PathLike) -> Trained:
    """Return the trained setting of a run's folder or of an exported file.

    Raises:
        UserError: nothing is there, or it is neither.
    """
    if os.path.isdir(path):
        return load_run(path)
    if not os.path.isfile(path):
        raise UserError(
            f"{path}: is not there; give the folder of a run, such as "
            "results/runs/DATASET/METHOD/prop=P/seed=S, or a file that "
            "`mlrpl export` made"
        )
    if Path(path).name == "weights.safetensors":  # of a run, and not enough by itself
        return load_run(Path(path).parent)
    return read_export(path)
