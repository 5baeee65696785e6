"""What a method is built from besides its options."""

from dataclasses import dataclass

from torch import Tensor

from mlrpl.text.clip_text import ClipText


@dataclass(frozen=True)
class Inputs:
    """Sizes and frozen data of one training, for every part of a method.

    Attributes:
        map_channels: K, the channels of the cached map.
        embed_dim: D, the dimension of CLIP's joint space.
        class_vectors: GloVe vectors [C, G] of the classes (Eq. 2).
        clip: the text side of CLIP, which also holds its visual projection.
        known: the partial labels [N, C] of this training, 1, -1 and 0 for unknown. What
            a method counts over the data set (co-occurrence, say) it counts here, so
            that it sees no label that the training does not know.
        context: start [M, W] of the context vectors, where they start from a text.
        grid: rows and columns of the map's locations, L of them.
        token_positions: what CLIP's position embeddings add to the mean token and to
            each token, [1 + T, D]; None where no tokens are read.
        class_dim: width of the head's class features, for a transfer; None before the
            head is built, and without class features.
    """

    map_channels: int
    embed_dim: int
    class_vectors: Tensor
    clip: ClipText
    known: Tensor | None = None
    context: Tensor | None = None
    grid: tuple[int, int] | None = None
    token_positions: Tensor | None = None
    class_dim: int | None = None

    @property
    def classes(self) -> int:
        """C, the number of classes."""
        return len(self.class_vectors)

    @property
    def class_names(self) -> list[str]:
        """The classes' names, for messages; their numbers without a text side."""
        if self.clip is None:
            return [f"class {number}" for number in range(self.classes)]
        return list(self.clip.classes)
