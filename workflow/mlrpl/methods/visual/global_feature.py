"""CLIP's own image feature, one for all classes: the visual side of CoOp."""

from torch import Tensor, nn

from mlrpl.methods.inputs import Inputs


class GlobalFeature(nn.Module):
    """Pass the global feature on; nothing is trained."""

    reads = "global"
    per_class = False

    def __init__(self, inputs: Inputs):
        super().__init__()

    def forward(self, features: Tensor) -> Tensor:
        """Return the global features [B, D] as [B, 1, D]."""
        return features[:, None]
