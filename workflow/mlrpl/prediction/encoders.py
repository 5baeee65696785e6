"""The frozen encoder of a trained setting, found and compared by its hash."""

import json
import tempfile
from pathlib import Path

from mlrpl.config.raw_files import CHECKPOINTS
from mlrpl.encoder.clip import Clip, load_clip
from mlrpl.errors import UserError
from mlrpl.prediction.trained import Trained


def found_file(name: str, where: str) -> Path | None:
    """Return the path of a file that a run names; None where there is none.

    Names in a configuration are relative to the folder of the workflow, which holds the
    results: the folders above `where` are tried after this one.

    Args:
        name: the path as it was written.
        where: the folder of the run, or the exported file.
    """
    if not name.endswith((*CHECKPOINTS, ".json")):  # open_clip's own name or tag
        return None
    for folder in (Path(), *Path(where).resolve().parents):
        if (folder / name).is_file():
            return (folder / name).resolve()
    return None


def load_encoder(trained: Trained, checkpoint: str | None = None) -> Clip:
    """Load the encoder whose features the method reads.

    Args:
        trained: the setting.
        checkpoint: the encoder's weights, where they are not to be looked for at the
            path that was written down.

    Raises:
        UserError: it is not there, or is not the one that the method was trained with.
    """
    facts = trained.encoder
    model = str(found_file(facts.model, trained.where) or facts.model)
    weights = checkpoint
    if weights is None:
        found = found_file(facts.pretrained, trained.where)
        weights = str(found or facts.pretrained)
        if found is None and weights.endswith(CHECKPOINTS):
            raise UserError(
                f"{weights}: the encoder's checkpoint is not there; give its path with "
                "--encoder"
            )
    with tempfile.TemporaryDirectory() as folder:
        if facts.config is not None:
            path = Path(folder) / Path(facts.model).name
            path.write_text(json.dumps(facts.config))
            model = str(path)
        clip = load_clip(model, weights, trained.preparation.image_size)
    if clip.weights_sha256 != facts.weights_sha256:
        raise UserError(
            f"{weights}: is another encoder than {trained.where} was trained with (its "
            f"image tower's hash begins {clip.weights_sha256[:12]}, not "
            f"{facts.weights_sha256[:12]}); give the right one with --encoder"
        )
    return clip
