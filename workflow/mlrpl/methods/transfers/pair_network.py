"""Which classes occur together in an image: the pair network of SST and HST.

A network scores every pair of classes from the two features (`model/SST.py` of
HCP-MLR-PL). Its first layer acts on the two features next to each other, so it is a sum
of two maps of one feature each; between its last layers and a pair's own classifier is
no non-linearity, so these make one vector a pair, q_ij = W^T omega_ij. Computed that
way it is the same function: r_ij = q_ij . relu(a_i + c_j) + omega_ij . b + kappa_ij.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from mlrpl.methods.classifiers import Classifiers

# Entries of relu(a_i + c_j) that are held at once: on a CPU 1 MiB of fp32, which stays
# in a core's cache; on a GPU 256 MiB.
CHUNK_CPU = 2**18
CHUNK_CUDA = 2**26


class PairNetwork(nn.Module):
    """Logits of every pair of classes i < j of an image.

    The parameters are those of the public code, by number and shape.
    """

    places: Tensor

    def __init__(self, classes: int, class_dim: int, pair_dim: int, hidden: int):
        """Draw the weights.

        Args:
            classes: C; a single class has no pairs.
            class_dim: D of the class features.
            pair_dim: to which they are reduced.
            hidden: H, width of the two layers over pairs.
        """
        super().__init__()
        self.classes = classes
        self.reduction = nn.Linear(class_dim, pair_dim)
        self.first = nn.Linear(2 * pair_dim, hidden)
        self.second = nn.Linear(hidden, hidden)
        pairs = torch.triu_indices(classes, classes, 1)
        self.classifier = Classifiers(pairs.shape[1], hidden)
        # Of each pair its place in a [C, C] matrix.
        places = pairs[0] * classes + pairs[1]
        self.register_buffer("places", places, persistent=False)

    def forward(self, class_features: Tensor) -> Tensor:
        """Return the logits [B, C, C] of features [B, C, D]; 0 but for i < j."""
        reduced = self.reduction(class_features)
        left, right = self.first.weight.chunk(2, dim=1)
        a, c = reduced @ left.T + self.first.bias, reduced @ right.T
        own = self.classifier.weight
        q = self._matrix(own @ self.second.weight)
        constant = self._matrix(own @ self.second.bias + self.classifier.bias)
        return _PairProducts.apply(a, c, q) + constant

    def _matrix(self, of_pairs: Tensor) -> Tensor:
        """Return numbers of pairs [P, ...] as a matrix [C, C, ...], 0 elsewhere."""
        size = self.classes**2
        matrix = of_pairs.new_zeros(size, *of_pairs.shape[1:])
        matrix = matrix.index_copy(0, self.places, of_pairs)
        return matrix.view(self.classes, self.classes, *of_pairs.shape[1:])


def presence(logits: Tensor, labels: Tensor) -> Tensor:
    """Return how likely each class is beside those known to be there, [B, C].

    The mean over an image's known positives of the pair's probability, 1 for a class
    with itself; 0 without a known positive.

    Args:
        logits: of pairs, [B, C, C], as of `PairNetwork`.
        labels: [B, C].
    """
    pairs = torch.sigmoid(logits).triu(1)
    own = torch.eye(labels.shape[1], dtype=pairs.dtype, device=pairs.device)
    positive = (labels == 1).to(pairs.dtype)
    together = ((pairs + pairs.transpose(1, 2) + own) @ positive[..., None])[..., 0]
    return together / positive.sum(dim=1, keepdim=True).clamp(min=1)


def pair_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the asymmetric loss of pairs, a mean over images and pairs.

    A pair of two known positives is a positive; every other one, those with an unknown
    label too, is a negative, as in `intraAsymmetricLoss` of the public code.
    """
    present = labels == 1
    together = present[:, :, None] & present[:, None, :]
    loss = asymmetric(logits, together)
    classes = labels.shape[1]
    pairs = len(labels) * classes * (classes - 1) // 2
    return loss.triu(1).sum() / max(pairs, 1)


def asymmetric(
    logits: Tensor,
    positive: Tensor,
    gamma_neg: float = 2,
    gamma_pos: float = 1,
    margin: float = 0.05,
    eps: float = 1e-8,
) -> Tensor:
    """Return the asymmetric loss of each entry (Ridnik et al., ICCV 2021).

    As `AsymmetricLoss` of HCP-MLR-PL: a gradient flows through the focal weights.

    Args:
        logits: of any shape.
        positive: which entries are positives; the others are negatives.
        gamma_neg: focusing parameter of negatives.
        gamma_pos: of positives.
        margin: probability that a negative may have for free.
        eps: least argument of a logarithm.
    """
    p = torch.sigmoid(logits)
    right = torch.where(positive, p, (1 - p + margin).clamp(max=1))
    wrong = 1 - right
    focal = torch.where(positive, wrong**gamma_pos, wrong**gamma_neg)
    return -torch.log(right.clamp(min=eps)) * focal


def _blocks(a: Tensor) -> Iterator[tuple[slice, slice, int]]:
    """Iterate over blocks of images and of first classes, with the first second class.

    One first class at a time with the images that fit; several where all images do. The
    last class is no pair's first.
    """
    images, classes, hidden = a.shape
    limit = CHUNK_CUDA if a.is_cuda else CHUNK_CPU
    if a.is_meta:
        limit = a.numel() * classes
    some = max(1, limit // max(1, classes * hidden))
    rows = max(1, limit // max(1, a.numel())) if some >= images else 1
    for start in range(0, classes - 1, rows):
        for image in range(0, images, some):
            yield slice(image, image + some), slice(start, start + rows), start + 1


class _PairProducts(torch.autograd.Function):
    """r_ij = q_ij . relu(a_i + c_j), without a tensor of images, pairs and H at once.

    q is 0 but for i < j, and so is r.
    """

    @staticmethod
    def forward(ctx: Any, a: Tensor, c: Tensor, q: Tensor) -> Tensor:
        """Return r [B, C, C] of a, c [B, C, H] and q [C, C, H]."""
        ctx.save_for_backward(a, c, q)
        r = a.new_zeros(*a.shape[:2], a.shape[1])
        for images, rows, first in _blocks(a):
            hidden = _hidden(a[images, rows], c[images, first:]).clamp_(min=0)
            r[images, rows, first:] = hidden.mul_(q[rows, first:]).sum(dim=-1)
        return r

    @staticmethod
    def backward(ctx: Any, r_grad: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the gradients of a, c and q."""
        a, c, q = ctx.saved_tensors
        a_grad, c_grad, q_grad = map(torch.zeros_like, (a, c, q))
        r_grad = r_grad.triu(1)
        for images, rows, first in _blocks(a):
            hidden = _hidden(a[images, rows], c[images, first:]).clamp_(min=0)
            outer = r_grad[images, rows, first:, None]
            # The sign is the slope of relu; `where` takes 15 times as long on a CPU.
            through = hidden.sign().mul_(q[rows, first:])
            a_grad[images, rows] = (outer.transpose(2, 3) @ through)[:, :, 0]
            c_grad[images, first:] += through.mul_(outer).sum(dim=1)
            q_grad[rows, first:] += hidden.mul_(outer).sum(dim=0)
        return a_grad, c_grad, q_grad


def _hidden(a: Tensor, c: Tensor) -> Tensor:
    """Return a_i + c_j, [B, rows, columns, H]."""
    return a[:, :, None] + c[:, None, :]
