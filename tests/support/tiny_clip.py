"""Small open_clip models with random weights, as config and checkpoint files."""

import json
from pathlib import Path

import open_clip
import torch
from safetensors.torch import save_file

TEXT = {
    "context_length": 16,
    "vocab_size": 49408,
    "width": 16,
    "heads": 2,
    "layers": 2,
}
# Four blocks of a ModifiedResNet, with position embeddings for 2x2 locations.
RESNET = {
    "embed_dim": 24,
    "quick_gelu": True,
    "vision_cfg": {
        "image_size": 64,
        "layers": [1, 1, 1, 1],
        "width": 8,
        "patch_size": None,
    },
    "text_cfg": TEXT,
}
TRANSFORMER = {
    "embed_dim": 24,
    "vision_cfg": {
        "image_size": 32,
        "layers": 2,
        "width": 32,
        "head_width": 16,
        "patch_size": 8,
    },
    "text_cfg": TEXT,
}
MOBILE = {
    "embed_dim": 24,
    "vision_cfg": {
        "timm_model_name": "mobilenetv2_035",
        "timm_pool": "avg",
        "timm_proj": "linear",
        "timm_proj_bias": True,
        "image_size": 128,
    },
    "text_cfg": TEXT,
}


def shake(model: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """Give every vector random values, normalisation and its statistics too.

    Fresh models have zeros and ones there, which hide mistakes. The values are rounded
    to fp16, so that fp16 and fp32 files hold the same.
    """
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if not tensor.is_floating_point():
                continue
            noise = torch.rand(tensor.shape, generator=random)
            if name.endswith(("running_var", ".weight")) and tensor.dim() == 1:
                tensor.copy_(0.7 + 0.6 * noise)
            elif tensor.dim() == 1:
                tensor.copy_(0.4 * noise - 0.2)
            tensor.copy_(tensor.half())
    return model.eval()


def build(config: dict, seed: int = 0) -> torch.nn.Module:
    torch.manual_seed(seed)
    config = json.loads(json.dumps(config))
    custom = config.pop("custom_text", False)
    return shake((open_clip.CustomTextCLIP if custom else open_clip.CLIP)(**config))


def write(folder: Path, config: dict, name: str = "tiny", seed: int = 0):
    """Write config and checkpoint; return their paths and the model."""
    model = build(config, seed)
    (folder / f"{name}.json").write_text(json.dumps(config))
    save_file(model.state_dict(), folder / f"{name}.safetensors")
    paths = str(folder / f"{name}.json"), str(folder / f"{name}.safetensors")
    return *paths, model
