"""Visual modules of the cosine head: from cached features to one feature a class.

Each is an `nn.Module` built from the inputs and its own options, with

- `reads`: which cached feature it takes, `"map"` [B, L, K] or `"global"` [B, D];
- `per_class`: whether each class gets a feature of its own;
- `forward(features)`: [B, C, D], or [B, 1, D] when all classes share one feature.
"""
