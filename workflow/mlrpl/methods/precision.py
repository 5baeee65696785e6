"""The precision of a method's products."""

import torch
from torch import Tensor

from mlrpl.runtime.device import precision_on


def products(device: torch.device, precision: str) -> torch.autocast:
    """Return the context in which products have the precision of the option."""
    bf16 = precision_on(device, precision) == "bf16"
    return torch.autocast(device.type, torch.bfloat16, enabled=bf16)


def at_least_fp32(features: Tensor) -> Tensor:
    """Return features in fp32 where they have less."""
    return features.to(torch.promote_types(features.dtype, torch.float32))
