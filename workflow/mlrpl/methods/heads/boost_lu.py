"""BoostLU: boosted class activation maps (Kim et al., CVPR 2023).

What speaks for a class somewhere in the image counts several times: where unknown
labels are trained as negatives, the activation maps of false ones keep their shape and
lose their height. `ImageClassifier.forward` of youngwk/BridgeGapExplanationPAMC, which
trains it with the large loss.
"""

import torch
from torch import Tensor, nn

from mlrpl.methods.base import Head
from mlrpl.methods.inputs import Inputs


class BoostedActivationHead(Head):
    """Mean over the locations of the activation maps, with positive values boosted."""

    has_class_features = False
    reads = "map"

    def __init__(self, inputs: Inputs, *, boost: float):
        """Draw the classifiers as `nn.Linear` does.

        Args:
            inputs: sizes.
            boost: alpha, the factor of positive activations.
        """
        super().__init__()
        self.boost = boost
        self.classifier = nn.Linear(inputs.map_channels, inputs.classes)

    def class_features(self, features: Tensor) -> Tensor:
        """Return the maps [B, L, K] themselves, which all classes share."""
        return features

    def logits(self, class_features: Tensor, prepared: None) -> Tensor:
        """Return the logits [B, C] of maps [B, L, K]."""
        activation = self.classifier(class_features)
        boosted = torch.where(activation > 0, self.boost * activation, activation)
        return boosted.mean(dim=1)
