"""What the tests of towers, loading and export share."""

from pathlib import Path

import open_clip
import pytest
import torch
from safetensors.torch import save_file

from mlrpl.encoder import clip as clip_module
from mlrpl.encoder.clip import Clip, load_clip
from support import tiny_clip


def near(ours, theirs):
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def random_rn101(folder: Path) -> tuple[Clip, open_clip.CLIP]:
    """A full-size RN101 with random weights, loaded as the published one would be."""
    path = folder / "model.safetensors"
    torch.manual_seed(0)
    model = tiny_clip.shake(
        open_clip.CLIP(**open_clip.get_model_config("RN101-quickgelu"))
    )
    save_file({k: v.half() for k, v in model.state_dict().items()}, path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clip_module, "download_pretrained", lambda entry: str(path))
        clip = load_clip("RN101-quickgelu", "openai", 448)
    path.unlink()
    return clip, model
