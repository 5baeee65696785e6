"""Prototypes of the classes: clusters of the features of known positives."""

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mlrpl.errors import UserError
from mlrpl.methods.base import TrainingImages

EPS = 1e-8  # what `F.cosine_similarity` has by default
# Images that pass the head at once, vectors that are assigned at once.
IMAGES, VECTORS = 256, 4096
MAX_ITERATIONS = 100


class KMeansPrototypes(nn.Module):
    """The centres of k-means over each class's known positives (SARB, HST).

    One start by k-means++ and Lloyd's iterations until nothing moves, for all classes
    together. A class with fewer known positives than clusters has as many centres as
    positives; without any it has none.
    """

    centers: Tensor
    filled: Tensor

    def __init__(
        self,
        classes: Sequence[str],
        number: int,
        class_dim: int,
        few_positives: str = "fewer",
    ):
        """Make room; `compute` fills it.

        Args:
            classes: their names, for an error.
            number: K, clusters of a class.
            class_dim: D of the class features.
            few_positives: "fewer" centres where there are fewer positives, or "stop".
        """
        super().__init__()
        self.classes, self.few_positives = list(classes), few_positives
        shape = len(self.classes), number
        self.register_buffer("centers", torch.zeros(*shape, class_dim))
        # 1 where there is a centre.
        self.register_buffer("filled", torch.zeros(shape))

    @torch.no_grad()
    def compute(self, training: TrainingImages) -> None:
        """Cluster the class features of the training images, as in a test.

        Raises:
            UserError: fewer known positives than clusters, if that is to stop.
        """
        vectors, owners = known_positives(training)
        order = torch.argsort(owners, stable=True)
        self.cluster(vectors[order], owners[order])

    def cluster(self, vectors: Tensor, owners: Tensor) -> None:
        """Cluster vectors [M, D] of classes [M], sorted by class."""
        classes, number = self.filled.shape
        counts = torch.bincount(owners, minlength=classes)
        self._check(counts)
        places = torch.arange(number, device=counts.device)
        self.filled.copy_(places < counts[:, None])
        self.centers.zero_()
        if not len(vectors):
            return
        self._start(vectors, owners)
        before = torch.full_like(owners, -1)
        for _ in range(MAX_ITERATIONS):
            assigned, sums, sizes = self._assign(vectors, owners)
            if torch.equal(assigned, before):
                break
            # A cluster that has lost all its vectors stays where it is.
            means = sums / sizes.clamp(min=1)[..., None]
            self.centers.copy_(torch.where(sizes[..., None] > 0, means, self.centers))
            before = assigned

    def mean_cosine(self, class_features: Tensor) -> Tensor:
        """Return the mean cosine with a class's prototypes, [B, C]; 0 without any."""
        unit = F.normalize(self.centers, dim=-1, eps=EPS) * self.filled[..., None]
        # The mean of cosines is the product with the mean of unit vectors.
        mean = unit.sum(dim=1) / self.filled.sum(dim=1, keepdim=True).clamp(min=1)
        return (F.normalize(class_features, dim=-1, eps=EPS) * mean).sum(dim=-1)

    def _check(self, counts: Tensor) -> None:
        number = self.filled.shape[1]
        if self.few_positives == "fewer":
            return
        for name, count in zip(self.classes, counts.tolist(), strict=True):
            if count < number:
                raise UserError(
                    f"options: few_positives: stop: {name} has {count} known "
                    f"positives, too few for {number} clusters; lower prototypes, or "
                    "set few_positives to fewer"
                )

    def _start(self, vectors: Tensor, owners: Tensor) -> None:
        """Choose centres among the vectors: each far from those before (k-means++)."""
        distance = torch.full_like(vectors[:, 0], torch.inf)
        for k in range(self.filled.shape[1]):
            # The largest of log(weight) + Gumbel noise is drawn by the weights.
            noise = -torch.log(-torch.log(torch.rand_like(distance)))
            weight = torch.where(distance.isinf(), 1.0, distance)
            chosen = first_of_largest(
                torch.log(weight) + noise, owners, len(self.filled)
            )
            has = self.filled[:, k, None] > 0
            self.centers[:, k] = torch.where(has, vectors[chosen], 0)
            for part in torch.arange(len(vectors), device=owners.device).split(VECTORS):
                away = vectors[part] - self.centers[owners[part], k]
                near = away.square().sum(dim=1)
                near = torch.where(has[owners[part], 0], near, torch.inf)
                distance[part] = torch.minimum(distance[part], near)

    def _assign(self, vectors: Tensor, owners: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return each vector's centre [M], and sums [C, K, D] and sizes [C, K]."""
        number = self.filled.shape[1]
        sums, sizes = torch.zeros_like(self.centers), torch.zeros_like(self.filled)
        assigned = torch.empty_like(owners)
        for part, first, last in _parts(owners):
            mine, own = vectors[part], owners[part] - first
            centers = self.centers[first:last].flatten(0, 1)
            score = centers.square().sum(dim=1) - 2 * mine @ centers.T
            column = torch.arange(len(centers), device=own.device)
            other = (column // number != own[:, None]) | (
                self.filled[first:last].flatten() == 0
            )
            nearest = score.masked_fill_(other, torch.inf).argmin(dim=1)
            assigned[part] = nearest - own * number
            # A product, not a sum by index: the same bits in every run.
            members = F.one_hot(nearest, len(centers)).to(mine.dtype)
            sums[first:last] += (members.T @ mine).view_as(sums[first:last])
            sizes[first:last] += members.sum(dim=0).view_as(sizes[first:last])
        return assigned, sums, sizes


def known_positives(training: TrainingImages) -> tuple[Tensor, Tensor]:
    """Return the features [M, D] of all known positives, and their classes [M]."""
    vectors, owners = [], []
    for batch, found in training.located(IMAGES):
        rows, columns = (batch.labels == 1).nonzero(as_tuple=True)
        vectors.append(found.class_features[rows, columns])
        owners.append(columns)
    return torch.cat(vectors), torch.cat(owners)


def first_of_largest(keys: Tensor, owners: Tensor, classes: int) -> Tensor:
    """Return of each class the row of its largest key, [C]; 0 for one without rows.

    Args:
        keys: [M].
        owners: the rows' classes [M].
        classes: C.
    """
    largest = keys.new_full((classes,), -torch.inf)
    largest = largest.scatter_reduce(0, owners, keys, "amax")
    rows = torch.arange(len(keys), device=keys.device)
    rows = torch.where(keys == largest[owners], rows, len(keys))
    first = rows.new_full((classes,), len(keys)).scatter_reduce(0, owners, rows, "amin")
    return torch.where(first < len(keys), first, 0)


def _parts(owners: Tensor) -> Iterator[tuple[slice, int, int]]:
    """Iterate over parts of the sorted rows, with the range of classes of each."""
    for start in range(0, len(owners), VECTORS):
        part = slice(start, min(start + VECTORS, len(owners)))
        yield part, int(owners[part.start]), int(owners[part.stop - 1]) + 1
