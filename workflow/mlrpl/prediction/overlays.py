"""Attention over a picture, as a picture."""

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib import font_manager
from PIL import Image, ImageDraw, ImageFont

from mlrpl.encoder.decoding import decode

# Colours that grow in lightness, so that they can be told in grey too.
COLOURS = "inferno"
MARGIN, LINE = 8, 22  # pixels: around each picture, and of a caption's line


def overlay(picture: np.ndarray, attention: np.ndarray) -> np.ndarray:
    """Return a picture in grey under the attention's colours, uint8 [H, W, 3].

    The attention is scaled to its own maximum and interpolated between the centres of
    its cells; the picture was resized whole, so that they cover it from edge to edge.

    Args:
        picture: uint8 [H, W, 3].
        attention: [rows, columns], not negative.
    """
    height, width = picture.shape[:2]
    share = np.asarray(attention, np.float32)
    share = share / max(float(share.max()), 1e-12)
    smooth = Image.fromarray(share).resize((width, height), Image.Resampling.BILINEAR)
    share = np.asarray(smooth).clip(0, 1)
    grey = picture @ np.array([0.299, 0.587, 0.114])
    colours = matplotlib.colormaps[COLOURS](share)[..., :3] * 255
    weight = 0.25 + 0.45 * share[..., None]
    return ((1 - weight) * grey[..., None] + weight * colours).round().astype(np.uint8)


def read_picture(data: bytes, side: int, exif_rotation: bool = False) -> np.ndarray:
    """Return a picture whose longer side is at most `side` pixels, uint8 [H, W, 3].

    Args:
        data: the file's content.
        side: in pixels.
        exif_rotation: as the encoder had it (`encoder.images.Preparation`), so that
            maps lie where they belong.

    Raises:
        PictureError: as `encoder.decoding.decode`.
    """
    image = decode(data, exif_rotation)
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    return np.asarray(image)


def strip(
    picture: np.ndarray, maps: Sequence[np.ndarray], captions: Sequence[str]
) -> Image.Image:
    """Return a picture and its maps side by side, with a caption below each.

    Args:
        picture: uint8 [H, W, 3].
        maps: attention [rows, columns] of the classes shown.
        captions: of the picture and of each map.
    """
    tiles = [picture, *(overlay(picture, found) for found in maps)]
    height, width = picture.shape[:2]
    font = ImageFont.truetype(font_manager.findfont("DejaVu Sans"), 14)
    lines = [_fitting(text, font, width) for text in captions]
    size = ((width + MARGIN) * len(tiles) + MARGIN, height + 2 * MARGIN + LINE)
    image = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(image)
    for number, (tile, text) in enumerate(zip(tiles, lines, strict=True)):
        left = MARGIN + number * (width + MARGIN)
        image.paste(Image.fromarray(tile), (left, MARGIN))
        draw.text((left, MARGIN + height + 3), text, "black", font)
    return image


def _fitting(text: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    """Return a text that is no wider than the picture above it."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "…") > width:
        text = text[:-1]
    return text + "…"
