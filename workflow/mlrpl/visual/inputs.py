"""What a visual module is built from."""

from dataclasses import dataclass

from torch import Tensor

from mlrpl.clip_text import ClipText


@dataclass(frozen=True)
class VisualInputs:
    """Sizes and frozen data that the visual modules start from.

    Attributes:
        map_channels: K, the channels of the cached map.
        embed_dim: D, the dimension of CLIP's joint space.
        class_vectors: GloVe vectors [C, G] of the classes (Eq. 2).
        clip: the text side of CLIP, which also holds its visual projection.
    """

    map_channels: int
    embed_dim: int
    class_vectors: Tensor
    clip: ClipText
