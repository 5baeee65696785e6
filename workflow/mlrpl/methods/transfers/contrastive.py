"""The contrastive loss of class features (`ContrastiveLoss` of HCP-MLR-PL).

Of every two images of a batch, those that both show a class should have similar
features of it; others should not. The public code gathers the pairs by lists of
indices; here they are weights of a [C, B, B] tensor, of shapes that do not depend on
the labels.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# What the public code gives `F.cosine_similarity`.
EPS = 1e-9


class ContrastiveLoss(nn.Module):
    """Mean of 1 - cos over positive pairs, and of 1 + cos over the others.

    A pair is of one class and two images i < j, both with a known label of the class.
    If there are n > 0 pairs of two positives, of the pairs of two negatives a random 2n
    are taken and the n with the highest cost once more, and so of the mixed ones.
    """

    def forward(self, class_features: Tensor, labels: Tensor) -> Tensor:
        """Return the loss of class features [B, C, D] and labels [B, C], a scalar.

        Zero where no two images have a known label of one class. Only labels of 1 and
        -1 count.
        """
        unit = F.normalize(class_features, dim=-1, eps=EPS).transpose(0, 1)
        cosine = unit @ unit.transpose(1, 2)  # [C, B, B]
        positive, negative = (sign == labels.T for sign in (1, -1))
        # Entries in the order of the public code: by the pair, then by the class.
        first, second = torch.triu_indices(*2 * (len(labels),), 1, device=labels.device)
        cosine = cosine[:, first, second].T  # [pairs, C]
        p_i, p_j = positive[:, first].T, positive[:, second].T
        n_i, n_j = negative[:, first].T, negative[:, second].T
        both, neither = p_i & p_j, n_i & n_j
        mixed = (p_i & n_j) | (n_i & p_j)
        count = both.sum()
        weight = both.to(cosine.dtype)
        for pairs in (neither, mixed):  # draws are made in this order
            weight = weight + self._chosen(pairs, cosine.detach(), count)
        cost = torch.where(both, 1 - cosine, 1 + cosine)
        return (weight * cost).sum() / weight.sum().clamp(min=1)

    def _chosen(self, pairs: Tensor, cosine: Tensor, count: Tensor) -> Tensor:
        """Return how often each entry of a set of pairs counts, 0 to 2.

        Args:
            pairs: the set, [pairs, C].
            cosine: of the features, [pairs, C].
            count: n, the number of pairs of two positives.
        """
        flat, cost = pairs.flatten(), cosine.flatten()
        drawn = rank(torch.where(flat, self.draw(flat), torch.inf)) < 2 * count
        top = rank(torch.where(flat, -cost, torch.inf)) < count
        times = (flat & drawn).to(cosine.dtype) + (flat & top).to(cosine.dtype)
        return torch.where(count > 0, times, flat.to(cosine.dtype)).view_as(cosine)

    def draw(self, members: Tensor) -> Tensor:
        """Return a number for each entry [n]; those with the lowest are taken first."""
        return torch.rand(members.shape, device=members.device)


def rank(keys: Tensor) -> Tensor:
    """Return the place of each key in ascending order; equal ones as they stand."""
    order = torch.argsort(keys, stable=True)
    places = torch.empty_like(order)
    places[order] = torch.arange(len(order), device=order.device)
    return places
