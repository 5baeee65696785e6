"""Prompts of many classes as rows, each token that they share standing there once.

In a causal tower a token sees those before it alone. So the first tokens, which all
prompts have in common (the start of text and, with CoOp's one context for all classes,
that too), have the same features in each, and no prompt needs to be padded to the
length of the longest.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Packing(nn.Module):
    """Where the tokens of C prompts are among N rows.

    The rows are the start of text, then the context vectors, one class after another
    if each has its own, then what follows them in each prompt, one class after another.

    Attributes:
        shared: S, the number of first tokens that all prompts have in common.
        rows: [C, T], the row of each token; what follows a prompt's end repeats it.
        origin: [N], a place in the flattened `rows` of each row, the first one.
        repeated: [C T, 1], which places are not their row's origin.
        positions: [N], the position of each row in its prompt.
        ends: [C], the row of each prompt's last token, its end of text.
        end_of: [N], the class whose end a row is; 0 where it is none.
        no_end: [N, 1], which rows are none.
        mask: [T, T], minus infinity where a token (the first axis) would look ahead.
        end_mask: [C, 1, T], minus infinity after each prompt's end.
    """

    def __init__(self, n_ctx: int, class_specific: bool, suffixes: Sequence[int]):
        """Lay out the rows.

        Args:
            n_ctx: number M of context vectors.
            class_specific: whether each class has its own.
            suffixes: for each class, the number of tokens after the context, at least
                one (the end of text).
        """
        super().__init__()
        self.shared = 1 if class_specific else 1 + n_ctx
        # On the CPU whatever torch's default device is: it is worked out from values.
        with torch.device("cpu"):
            layout = _layout(n_ctx, class_specific, suffixes)
        for name, tensor in layout.items():
            self.register_buffer(name, tensor, persistent=False)

    def at_ends(self, rows: Tensor) -> Tensor:
        """Return rows [C, W] of the ends of text as [N, W], zero in the others."""
        # A gather: a scatter in a fixed order sorts its indices first on a GPU.
        return rows.index_select(0, self.end_of).masked_fill(self.no_end, 0)


def _layout(
    n_ctx: int, class_specific: bool, suffixes: Sequence[int]
) -> dict[str, Tensor]:
    """Return the buffers of a packing."""
    classes = torch.arange(len(suffixes))[:, None]
    lengths = torch.tensor(suffixes)
    own = 1 if class_specific else 0
    context = 1 + own * n_ctx * classes + torch.arange(n_ctx)
    first = 1 + n_ctx * (len(suffixes) if class_specific else 1)
    starts = first + lengths.cumsum(0) - lengths
    step = torch.arange(int(lengths.max()))
    suffix = starts[:, None] + step.minimum(lengths[:, None] - 1)
    rows = torch.cat([torch.zeros_like(classes), context, suffix], dim=1)
    count = first + int(lengths.sum())
    length = rows.shape[1]
    # From the last place to the first, so that the first one stays.
    origin = torch.empty(count, dtype=torch.long)
    for place, row in reversed(list(enumerate(rows.flatten().tolist()))):
        origin[row] = place
    repeated = torch.ones(rows.numel(), 1, dtype=torch.bool)
    repeated[origin] = False
    ends = starts + lengths - 1
    end_of = torch.zeros(count, dtype=torch.long)
    end_of[ends] = classes[:, 0]
    no_end = torch.ones(count, 1, dtype=torch.bool)
    no_end[ends] = False
    mask = torch.full((length, length), -torch.inf).triu(1)
    return {
        "rows": rows,
        "origin": origin,
        "positions": origin % length,
        "repeated": repeated,
        "ends": ends,
        "end_of": end_of,
        "no_end": no_end,
        "mask": mask,
        "end_mask": mask[n_ctx + lengths][:, None],
    }
