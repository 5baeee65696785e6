"""Visual modules: from a frozen encoder's features to one feature a class.

Each is an `nn.Module` with

- `reads`: which cached feature it takes, `"map"` [B, L, K] or `"global"` [B, D];
- `from_options(options, inputs)`: build it with freshly drawn weights;
- `forward(features)`: [B, C, D], or [B, 1, D] when all classes share one feature.
"""

from mlrpl.visual.global_feature import GlobalFeature
from mlrpl.visual.inputs import VisualInputs
from mlrpl.visual.semantic_attention import SemanticAttention
from mlrpl.visual.semantic_decoupling import SemanticDecoupling

VISUAL = {
    "global": GlobalFeature,
    "semantic_decoupling": SemanticDecoupling,
    "semantic_attention": SemanticAttention,
}

__all__ = ["VISUAL", "VisualInputs"]
