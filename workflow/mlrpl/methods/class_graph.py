"""SCPNet's graph of the classes: how alike CLIP finds their names (Ding et al., 2023).

`SCPNet.__init__` of jameslahm/SCPNet, which reads the similarity from a file that was
made with prompts it does not name.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from mlrpl.text.clip_text import ClipText
from mlrpl.text.prompts import Prompts
from mlrpl.text.tower import TextTower

NEIGHBOURS = 0.2  # what a class's neighbours weigh beside its own 0.8


@torch.no_grad()
def name_similarity(clip: ClipText, tower: TextTower, period: bool) -> Tensor:
    """Return the cosines [C, C] of the text features of the classes' names alone.

    Args:
        clip: the text side of CLIP.
        tower: its text tower.
        period: whether a name ends with a full stop.
    """
    prompts = Prompts(clip, 0, False, period, tower.context_length, 0.0)
    unit = F.normalize(tower(*prompts()), dim=-1)
    return unit @ unit.T


def prior(similarity: Tensor, top: int) -> Tensor:
    """Return the graph of classes [C, C]: rows of neighbours' weights, and their own.

    Args:
        similarity: of the classes, [C, C].
        top: entries of a row that are kept, the class itself among them.
    """
    own = torch.eye(len(similarity), dtype=similarity.dtype, device=similarity.device)
    others = similarity * kept(similarity, top) * (1 - own)
    total = others.sum(dim=1, keepdim=True)
    weights = torch.where(total > 0, NEIGHBOURS * others / total, 0)
    return weights + (1 - NEIGHBOURS) * own


def relation(similarity: Tensor, top: int, temperature: float) -> Tensor:
    """Return what each class says of the others, [C, C], rows of sum 1.

    The softmax of the graph's rows over the temperature, of which the same entries are
    kept as in the graph.

    Args:
        similarity: of the classes, [C, C].
        top: as of `prior`.
        temperature: T.
    """
    shares = torch.softmax(prior(similarity, top) / temperature, dim=1)
    shares = shares * kept(similarity, top)
    return shares / shares.sum(dim=1, keepdim=True)


def kept(similarity: Tensor, top: int) -> Tensor:
    """Return 1 at the largest entries of each row, so many, and 0 elsewhere."""
    places = similarity.topk(min(top, len(similarity)), dim=1).indices
    return torch.zeros_like(similarity).scatter(1, places, 1)
