"""DSRB against whole maps that are blended literally, in loops over images and classes.

Without reference data, on an odd grid and with more known positives than are taken.
"""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from mlrpl.methods.base import Batch, Located, Step
from mlrpl.methods.decoupling import evidence
from mlrpl.methods.inputs import Inputs
from mlrpl.methods.losses.p_bce import PartialBCE
from mlrpl.methods.scores import sigmoid
from mlrpl.methods.transfers import dsrb, quadrants
from support.public_transfers import make_transfer

CLASSES, WIDTH, GRID, MOST = 5, 4, (5, 7), 2
# Class 3 has no known positive.
NEVER = 3


@dataclass
class Images:
    """Images with maps [N, L, D], attention [N, C, L] and labels [N, C]."""

    maps: torch.Tensor
    attention: torch.Tensor
    labels: torch.Tensor
    steps: int = 1

    def located(self, size):
        for rows in torch.arange(len(self.labels)).split(7):
            batch = Batch(self.maps[rows], self.labels[rows], rows)
            yield batch, self.found(rows)

    def found(self, rows):
        maps, attention = self.maps[rows], self.attention[rows]
        return Located(attention @ maps, evidence(attention, maps))

    def weighted(self):
        """The maps that the attention of each class weighs, [N, C, H, W, D]."""
        maps = (self.attention[..., None] * self.maps[:, None]).numpy()
        return maps.reshape(*maps.shape[:2], *GRID, WIDTH)


def images(number, seed):
    generator = torch.Generator().manual_seed(seed)
    size = GRID[0] * GRID[1]
    maps = torch.randn(number, size, WIDTH, generator=generator).double()
    shape = (number, CLASSES, size)
    attention = torch.randn(shape, generator=generator).double().softmax(dim=-1)
    labels = torch.randint(-1, 2, (number, CLASSES), generator=generator)
    labels[:, NEVER] = labels[:, NEVER].clamp(max=0)
    return Images(maps, attention, labels.to(torch.int8))


def place(one_map):
    """The quadrant of a map's peak [H, W, D], in loops."""
    peak = one_map.sum(axis=-1)
    row = int(np.argmax([max(line) for line in peak]))
    column = int(np.argmax([max(line) for line in peak.T]))
    below, right = row >= GRID[0] // 2, column >= GRID[1] // 2
    return 2 * int(below) + int(right)


def prototype_maps(training):
    """Maps [4, H, W, D] of each class; None for one without known positives."""
    found = []
    for c in range(CLASSES):
        members = [[] for _ in range(4)]
        for weighted, labels in zip(training.weighted(), training.labels, strict=True):
            quadrant = place(weighted[c])
            if labels[c] == 1 and len(members[quadrant]) < MOST:
                members[quadrant].append(weighted[c])
        whole = [one for part in members for one in part]
        found.append(
            [
                np.sum(part, axis=0) / (len(part) + 1) if part else np.mean(whole, 0)
                for part in members
            ]
            if whole
            else None
        )
    return found


def blended_maps(batch, prototypes, shifts, keys, alpha, beta):
    """Features [B, C, D] and targets [B, C] of both kinds, by whole maps."""
    maps, labels = batch.weighted(), batch.labels.numpy()
    kinds = [(maps.copy(), labels.astype(float)) for _ in range(2)]
    for b in range(len(labels)):
        partner = len(labels) - 1 - b
        unknown = [c for c in range(CLASSES) if labels[b, c] == 0]
        for c in unknown:
            if labels[partner, c] == 1:
                kinds[0][0][b, c] = alpha * maps[b, c] + (1 - alpha) * maps[partner, c]
                kinds[0][1][b, c] = 1 - alpha
        for c in sorted(unknown, key=lambda c: -keys[b, c])[:2]:
            if prototypes[c] is not None:
                other = prototypes[c][(place(maps[b, c]) - shifts[b, c]) % 4]
                kinds[1][0][b, c] = beta * maps[b, c] + (1 - beta) * other
                kinds[1][1][b, c] = 1 - beta
    return [(found.sum((2, 3)), targets) for found, targets in kinds]


def check():
    training, batch = images(40, 1), images(9, 2)
    inputs = Inputs(1, 1, torch.zeros(CLASSES, 1), None, grid=GRID, class_dim=WIDTH)
    options = {"blend_classes": 2, "quadrant_members": MOST, "transfer_epoch": 0}
    transfer = make_transfer("dsrb", inputs, **options).double()
    with torch.no_grad():
        transfer.alpha.fill_(0.7)
        transfer.beta.fill_(0.4)
    transfer.start_epoch(1, training)
    rows = torch.arange(9)
    keys = torch.rand(9, CLASSES)
    shifts = torch.randint(1, 4, (9, CLASSES))
    transfer.draw, transfer.draw_shifts = (lambda _: keys), (lambda _: shifts)
    direction = torch.randn(WIDTH).double()
    seen = []

    def rescore(features):
        return sigmoid(features @ direction)

    def loss(scores, targets):
        seen.append((scores.ranking, targets))
        return PartialBCE()(scores, targets)

    found = batch.found(rows)
    scores = rescore(found.class_features)
    data = Batch(batch.maps, batch.labels, rows)
    transfer(Step(data, *found, scores, rescore, loss, None))
    expected = blended_maps(
        batch, prototype_maps(training), shifts.numpy(), keys.numpy(), 0.7, 0.4
    )
    assert len(seen) == 3
    for (ranking, targets), (features, soft) in zip(seen[1:], expected, strict=True):
        features = torch.from_numpy(features) @ direction
        torch.testing.assert_close(ranking, features, rtol=0, atol=1e-6)
        same = torch.from_numpy(soft)
        torch.testing.assert_close(targets.double(), same, rtol=0, atol=1e-6)


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(3)


def test_blended_features_are_those_of_blended_maps():
    check()


def rounded_up(evidence, grid):
    rows, columns = grid
    on_grid = evidence.unflatten(-1, grid)
    row = on_grid.amax(dim=-1).argmax(dim=-1)
    column = on_grid.amax(dim=-2).argmax(dim=-1)
    return 2 * (row >= (rows + 1) // 2) + (column >= (columns + 1) // 2)


def of_one_peak(evidence, grid):
    """The quadrant of the largest number, by torch's flat index: the same."""
    peak = evidence.argmax(dim=-1)
    rows, columns = grid
    return 2 * (peak // columns >= rows // 2) + (peak % columns >= columns // 2)


@pytest.mark.parametrize("wrong", [True, False])
def test_the_maps_catch_a_half_that_is_rounded_up(monkeypatch, wrong):
    other = rounded_up if wrong else of_one_peak
    for module in (quadrants, dsrb):
        monkeypatch.setattr(module, "quadrant", other)
    if not wrong:
        check()
        return
    with pytest.raises(AssertionError):
        check()


@pytest.mark.parametrize("grid", [(1, 1), (1, 6), (3, 2)])
def test_a_quadrant_on_small_grids(grid):
    size = grid[0] * grid[1]
    found = quadrants.quadrant(torch.eye(size)[None], grid)
    rows, columns = np.divmod(np.arange(size), grid[1])
    expected = 2 * (rows >= grid[0] // 2) + (columns >= grid[1] // 2)
    assert found[0].tolist() == expected.tolist()
