"""A CLIP with random weights, and its text side as training reads it.

Apart from the other inputs, because the import of open_clip takes seconds.
"""

from pathlib import Path

import open_clip
import torch

from mlrpl.bench.sizes import Sizes
from mlrpl.encoder.clip import Clip, model_config, tensors_sha256
from mlrpl.text.export import export_clip


def random_clip(sizes: Sizes) -> Clip:
    """Return the encoder with open_clip's random start in the place of its weights."""
    config = sizes.clip or model_config(sizes.model)
    torch.manual_seed(0)
    model = open_clip.CLIP(**config).eval().requires_grad_(False)
    return Clip(
        model=model,
        name=sizes.model,
        pretrained="random",
        config=config,
        activation="quick_gelu" if config.get("quick_gelu") else "gelu",
        weights_sha256=tensors_sha256(model.visual.state_dict()),
    )


def write_texts(sizes: Sizes, clip: Clip, folder: Path) -> dict[str, Path]:
    """Write the text side of a CLIP for each data set, as training reads it."""
    paths = {name: folder / f"{name}.safetensors" for name in sizes.datasets}
    for name, path in paths.items():
        export_clip(clip, sizes.datasets[name].names, {}, path)
    return paths
