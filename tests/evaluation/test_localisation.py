"""The pointing game and the shares, by hand and against pixels that are counted."""

import numpy as np
import pytest

from mlrpl.evaluation.localisation import by_chance, cells, measured, percentages


def test_a_case_worked_out_by_hand():
    """A grid of 2x4 cells, and two boxes that overlap."""
    boxes = np.array([[0.0, 0.0, 0.375, 0.5], [0.25, 0.25, 0.5, 0.75]])
    found = cells(boxes, (2, 4))
    # Cells are 0.25 wide and 0.5 high. The first box fills cell (0, 0) and half of
    # (0, 1), of which the second adds the lower right quarter.
    covered = [[1, 0.75, 0, 0], [0, 0.5, 0, 0]]
    np.testing.assert_allclose(found.covered, covered)
    # The middle of (0, 1) is (0.375, 0.25), on the edge of both; that of (1, 1) is on
    # the lower edge of the second.
    centre = [[True, True, False, False], [False, True, False, False]]
    np.testing.assert_array_equal(found.centre, centre)
    chance = {"pointing": 3 / 8, "centre": 3 / 8, "inside": 2.25 / 8}
    assert by_chance(found) == pytest.approx(chance)
    attention = np.array([[0.1, 0.4, 0.1, 0.0], [0.0, 0.2, 0.2, 0.0]])
    inside = 0.1 + 0.75 * 0.4 + 0.5 * 0.2
    wanted = {"pointing": 1, "centre": 1, "inside": inside}
    assert measured(attention, found) == pytest.approx(wanted)
    assert measured(3 * attention, found) == pytest.approx(wanted)
    away = np.array([[0.1, 0.2, 0.1, 0.5], [0.0, 0.1, 0.0, 0.0]])
    inside = 0.1 + 0.75 * 0.2 + 0.5 * 0.1
    assert measured(away, found) == pytest.approx(
        {"pointing": 0, "centre": 0, "inside": inside}
    )


def test_the_tolerance_is_the_cell():
    """A small box in a cell's corner: the cell counts, its middle and others do not."""
    found = cells(np.array([[0.26, 0.26, 0.3, 0.3]]), (4, 4))
    peak = np.zeros((4, 4))
    peak[1, 1] = 1
    assert measured(peak, found)["pointing"] == 1
    assert measured(peak, found)["centre"] == 0
    assert measured(np.roll(peak, 1), found)["pointing"] == 0
    # An edge that only touches the next cell does not overlap it.
    touching = cells(np.array([[0.25, 0.25, 0.5, 0.5]]), (4, 4))
    assert (touching.covered > 0).sum() == 1
    # A box without any area is hit by nothing.
    empty = cells(np.array([[0.3, 0.3, 0.3, 0.6]]), (4, 4))
    assert by_chance(empty)["pointing"] == by_chance(empty)["inside"] == 0


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("grid", [(7, 7), (3, 5)])
def test_shares_equal_counted_pixels(seed, grid):
    """Boxes on a raster of pixels, painted into a picture and counted cell by cell."""
    random = np.random.default_rng(seed)
    rows, columns = grid
    height, width = rows * 12, columns * 20
    picture = np.zeros((height, width), bool)
    boxes = []
    for _ in range(random.integers(1, 6)):
        left, right = sorted(random.choice(width + 1, 2, replace=False))
        top, bottom = sorted(random.choice(height + 1, 2, replace=False))
        picture[top:bottom, left:right] = True
        boxes.append([left / width, top / height, right / width, bottom / height])
    found = cells(np.array(boxes), grid)
    counted = picture.reshape(rows, 12, columns, 20).mean(axis=(1, 3))
    np.testing.assert_allclose(found.covered, counted, atol=1e-9)
    assert by_chance(found)["inside"] == pytest.approx(picture.mean())
    attention = random.random(grid)
    spread = np.kron(attention, np.ones((12, 20)))
    wanted = spread[picture].sum() / spread.sum()
    assert measured(attention, found)["inside"] == pytest.approx(wanted)
    # By chance is the mean over every cell that the peak can be in.
    peaks = [measured(peak.reshape(grid), found) for peak in np.eye(rows * columns)]
    chance = by_chance(found)
    for name in ("pointing", "centre", "inside"):
        assert np.mean([m[name] for m in peaks]) == pytest.approx(chance[name])


def test_percentages_are_means_over_labels():
    rows = [{"pointing": 1.0, "centre": 0.0, "inside": 0.5}]
    rows += [{"pointing": 0.0, "centre": 0.0, "inside": 0.25}]
    assert percentages(rows) == {"pointing": 50, "centre": 0, "inside": 37.5}
    assert percentages([]) == {"pointing": None, "centre": None, "inside": None}
