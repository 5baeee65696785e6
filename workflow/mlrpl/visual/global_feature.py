"""CLIP's own image feature, one for all classes: the visual side of CoOp."""

from torch import Tensor, nn

from mlrpl.options import Options
from mlrpl.visual.inputs import VisualInputs


class GlobalFeature(nn.Module):
    """Pass the global feature on; nothing is trained."""

    reads = "global"

    @classmethod
    def from_options(cls, options: Options, inputs: VisualInputs) -> "GlobalFeature":
        """Build the module; it has no options."""
        return cls()

    def forward(self, features: Tensor) -> Tensor:
        """Return the global features [B, D] as [B, 1, D]."""
        return features[:, None]
