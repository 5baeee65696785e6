"""Linear probe: a classifier for each class on one frozen feature of the image.

What every method on frozen features is measured against. On CLIP's own image feature
it is the linear probe of Radford et al. (ICML 2021, section 3.2), with the loss of the
setting in place of their logistic regression.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from mlrpl.methods.base import Head
from mlrpl.methods.inputs import Inputs
from mlrpl.methods.precision import fp32_products


class LinearHead(Head):
    """Logits W f + b of the normalised feature f, W [C, D]; no class features.

    The weights start at zero: all classes at p = 0.5, whatever the seed.
    """

    has_class_features = False

    def __init__(self, inputs: Inputs, *, feature: str):
        """Take the sizes.

        Args:
            inputs: sizes.
            feature: "global", the encoder's image feature [D], or "map_mean", the mean
                of the map over its locations [K].
        """
        super().__init__()
        self.feature = feature
        self.reads = "global" if feature == "global" else "map"
        width = inputs.embed_dim if feature == "global" else inputs.map_channels
        self.classifier = nn.Linear(width, inputs.classes)
        nn.init.zeros_(self.classifier.weight)
        nn.init.zeros_(self.classifier.bias)

    def class_features(self, features: Tensor) -> Tensor:
        """Return the normalised feature [B, D] of maps [B, L, K] or features [B, D].

        Scaled to length sqrt(D), so that an entry is about 1 whatever the encoder.
        """
        if self.feature == "map_mean":
            features = features.mean(dim=1)
        return F.normalize(features, dim=-1) * features.shape[-1] ** 0.5

    def logits(self, class_features: Tensor, prepared: None) -> Tensor:
        """Return the logits [B, C]."""
        with fp32_products(class_features.device):
            return self.classifier(class_features)
