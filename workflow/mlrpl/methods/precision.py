"""The precision of a method's products."""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from mlrpl.runtime.device import precision_on


def products(device: torch.device, precision: str) -> AbstractContextManager:
    """Return the context in which products have the precision of the option."""
    if device.type == "meta":  # shapes alone (`methods.counting`); it has no autocast
        return nullcontext()
    bf16 = precision_on(device, precision) == "bf16"
    return torch.autocast(device.type, torch.bfloat16, enabled=bf16)


def fp32_products(device: torch.device) -> AbstractContextManager:
    """Return the context in which products are in the precision of their factors."""
    if device.type == "meta":
        return nullcontext()
    return torch.autocast(device.type, enabled=False)


def at_least_fp32(features: Tensor) -> Tensor:
    """Return features in fp32 where they have less."""
    return features.to(torch.promote_types(features.dtype, torch.float32))
