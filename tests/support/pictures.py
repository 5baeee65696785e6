"""Pictures of every mode that the feature tests encode."""

import io

import numpy as np
from PIL import Image

SIZE = 128
COUNT = 7
MODES = ("RGB", "L", "RGBA", "P", "CMYK", "RGB", "1")


def picture(number: int, mode: str = "RGB", size=(96, 64)) -> bytes:
    """An image file of smooth random colours."""
    random = np.random.default_rng(number)
    small = Image.fromarray(random.integers(0, 256, (4, 5, 3), np.uint8))
    image = small.resize(size, Image.Resampling.BICUBIC).convert(mode)
    file = io.BytesIO()
    image.save(file, "JPEG" if mode in ("RGB", "L", "CMYK") else "PNG")
    return file.getvalue()
