"""Attention over pictures: the overlays, and what `predict --maps` writes."""

import shutil

import numpy as np
import pytest
from PIL import Image

from mlrpl.__main__ import main
from mlrpl.prediction import overlays

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("cell", [(0, 0), (1, 3), (2, 2)])
def test_colours_are_strongest_where_the_attention_is(cell):
    """On a grey picture of another shape than the grid, in the middle of the cell."""
    picture = np.full((120, 200, 3), 120, np.uint8)
    attention = np.full((3, 4), 0.01)
    attention[cell] = 0.5
    shown = overlays.overlay(picture, attention).astype(int)
    assert shown.shape == picture.shape
    bright = shown.sum(axis=2)
    y, x = np.unravel_index(bright.argmax(), bright.shape)
    assert (y // 40, x // 50) == cell
    far = bright[(cell[0] * 40 + 60) % 120, (cell[1] * 50 + 125) % 200]
    assert bright.max() - far > 100


def test_a_map_without_any_attention_is_drawn():
    shown = overlays.overlay(np.full((8, 8, 3), 9, np.uint8), np.zeros((2, 2)))
    assert np.ptp(shown.reshape(-1, 3), axis=0).max() == 0


def test_a_strip_has_the_picture_and_its_maps_side_by_side():
    picture = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    maps = [np.eye(2), np.ones((2, 2))]
    image = np.asarray(overlays.strip(picture, maps, ["a.jpg", "0.9 " * 30, "b"]))
    m, line = overlays.MARGIN, overlays.LINE
    assert image.shape == (60 + 2 * m + line, 3 * (80 + m) + m, 3)
    np.testing.assert_array_equal(image[m : m + 60, m : m + 80], picture)
    second = image[m : m + 60, 2 * m + 80 : 2 * m + 160]
    np.testing.assert_array_equal(second, overlays.overlay(picture, maps[0]))
    assert (image[m + 61 :, 2 * m + 160 : 3 * m + 160] == 255).all(), "text runs over"


@pytest.mark.parametrize("method", ["sarl", "ssgrl"])
def test_predict_writes_a_strip_for_each_picture(small, tmp_path, method, capsys):
    """Pictures of one name in two folders too."""
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(small.picture("test", 1), other / "0.png")
    shutil.copy(small.picture("test", 1), other / "1.png")
    maps = tmp_path / "maps"
    words = ["predict", small.train(method), small.picture("test", 0), other]
    words += ["--maps", maps, "--top", 2, "--device", "cpu", "--threads", 1]
    assert main(list(map(str, words))) == 0
    assert sorted(p.name for p in maps.iterdir()) == ["0-2.png", "0.png", "1.png"]
    with Image.open(maps / "0.png") as strip, Image.open(other / "0.png") as picture:
        width, m = picture.width, overlays.MARGIN
        assert strip.width == 3 * (width + m) + m
    same = [np.asarray(Image.open(maps / name)) for name in ("0-2.png", "1.png")]
    above = slice(None, -overlays.LINE - overlays.MARGIN)  # names differ
    np.testing.assert_array_equal(same[0][above], same[1][above])


@pytest.mark.parametrize("method", ["coop", "gcn_ml"])
def test_maps_of_a_method_without_attention_are_one_line(
    small, tmp_path, method, capsys
):
    run, picture = small.train(method), small.picture("test", 0)
    capsys.readouterr()
    words = ["predict", run, picture, "--maps", tmp_path / "maps", "--device", "cpu"]
    assert main(list(map(str, words))) == 1
    said = capsys.readouterr()
    assert f"{run}: has no attention" in said.err and "Traceback" not in said.err
    assert not said.out and not (tmp_path / "maps").exists()
