"""Class vectors out of CLIP's text tower, for classes that GloVe has no words for."""

from os import PathLike

import numpy as np
import torch

from mlrpl.text.clip_text import ClipText
from mlrpl.text.prompts import Prompts
from mlrpl.text.tower import TextTower


@torch.no_grad()
def class_features(path: str | PathLike) -> np.ndarray:
    """Return CLIP's text feature of each class name with a full stop.

    Each is scaled to the root mean square 1 of its numbers. CLIP compares directions
    alone, and heads that were made for GloVe's vectors, whose numbers are of the order
    of 1, start from vectors of a like size.

    Args:
        path: the text side of CLIP for a data set, `clip.safetensors`.

    Returns:
        float32 [C, D], rows in the order of the data set's classes.

    Raises:
        UserError: an unreadable file, or a name that is too long for the text tower.
    """
    clip = ClipText(path)
    tower = TextTower(clip)
    prompts = Prompts(clip, 0, False, True, tower.context_length, 0.0)
    features = tower(*prompts()).float()
    scale = features.square().mean(dim=1, keepdim=True).sqrt()
    return (features / scale).numpy()
