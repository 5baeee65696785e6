"""A picture file to an RGB image of 8 bits a channel, or the reason why not.

The one place that asks Pillow to open a file: which formats are read, what happens to
pixels of more than 8 bits, and what Pillow's many errors become.
"""

import functools
import io
import re
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

# Pillow's names. Its other formats start programs (EPS: Ghostscript), have no mark of
# their own, or are no photographs.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "PPM", "JPEG2000", "AVIF")
# Modes of at most 8 bits a channel, which `convert` turns into RGB without loss.
_EIGHT_BITS = {"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr"}
_SIXTEEN_BITS = {"I;16", "I;16L", "I;16B", "I;16N"}
# A picture whose brightest value is below this uses less than a quarter of 16 bits, as
# 12 bits in 16 do: its 8 high bits would be nearly black.
_LEAST_WHITE = 1 << 14
# TIFF's tags, and the value of the second that stands for inverted grey.
_BITS_PER_SAMPLE, _PHOTOMETRIC, _WHITE_IS_ZERO = 258, 262, 0

DAMAGED = (
    "fetch the archive again, or take the image out of the labels and remake the index"
)
_CONVERT = (
    "save it with 8 bits a channel, scaled as it is to be seen, and under the same name"
)
_SMALLER = (
    "scale it down and keep its name (every image is resized to the encoder's square "
    "anyway), or take it out of the labels and remake the index"
)
# The beginnings of files that people take for pictures.
_OTHERS = (
    (rb"\s*%!PS|\xc5\xd0\xd3\xc6", "PostScript"),
    (rb"\s*%PDF", "PDF"),
    (rb".{4}ftyp(hei|hev|mif1|msf1)", "HEIF"),
    (rb"\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)*(<!DOCTYPE svg[^>]*>\s*)?<svg", "SVG"),
    (rb"8BPS", "Photoshop"),
    (rb"\x89HDF", "HDF5"),
    (rb".{128}DICM", "DICOM"),
)
_NOT_FETCHED = (
    (rb"(?i)\s*(<!DOCTYPE html|<html)", "an HTML page instead of a picture"),
    (rb"version https://git-lfs", "a pointer of Git LFS instead of a picture"),
)
_READ = (
    (rb"\xff\xd8\xff", "JPEG"),
    (rb"\x89PNG", "PNG"),
    (rb"RIFF.{4}WEBP", "WebP"),
    (rb"BM", "BMP"),
    (rb"II[*+]\0|MM\0[*+]", "TIFF"),
    (rb"GIF8", "GIF"),
    (rb"P[1-6fF]\s", "PPM"),
    (rb"\xff\x4f\xff\x51|\0\0\0\x0cjP  ", "JPEG 2000"),
    (rb".{4}ftypavi", "AVIF"),
)


class PictureError(ValueError):
    """A picture that cannot be used: the reason, and in `remedy` what to do."""

    def __init__(self, reason: str, remedy: str = DAMAGED):
        """Keep both, each of one line."""
        super().__init__(" ".join(reason.split()))
        self.remedy = remedy


def decode(data: bytes, exif_rotation: bool = False) -> Image.Image:
    """Return the picture of a file, RGB with 8 bits a channel.

    Of several frames or pages it is the first. Grey of 16 bits keeps its high byte;
    other numbers of more than 8 bits have no scale of their own and are refused.

    Args:
        data: the file's content, in one of `FORMATS`.
        exif_rotation: turn and mirror the picture as its EXIF entry says. Without, the
            pixels stay as they are stored.

    Raises:
        PictureError: the file is damaged, of another format, larger than Pillow's
            limit, or of pixels that have no meaning as 8 bits.
    """
    try:
        with Image.open(io.BytesIO(data), formats=_formats()) as file:
            image = _eight_bits(file)
            if exif_rotation:
                image.info["exif"] = file.getexif().tobytes()
                image = ImageOps.exif_transpose(image)
            return image
    except PictureError:
        raise
    except UnidentifiedImageError as error:
        raise PictureError(*_unidentified(data)) from error
    except Image.DecompressionBombError as error:
        raise PictureError(*_too_large(error)) from error
    except MemoryError as error:
        raise PictureError("no memory is left for its pixels", _SMALLER) from error
    except Exception as error:  # a damaged file makes Pillow raise nearly any
        raise PictureError(str(error) or type(error).__name__) from error


@functools.cache
def _formats() -> tuple[str, ...]:
    """Return those of `FORMATS` that this Pillow was built with."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def _eight_bits(file: Image.Image) -> Image.Image:
    """Return an opened file's pixels as RGB."""
    if file.mode in _EIGHT_BITS:
        return file.convert("RGB")
    # Pillow has 16 bits of PPM, and before version 11 of PNG, as 32.
    widened = file.mode == "I" and file.format in ("PNG", "PPM")
    if file.mode not in _SIXTEEN_BITS and not widened:
        kind = {"I": "32-bit integers", "F": "floating-point numbers"}.get(file.mode)
        kind = f"{kind}, mode {file.mode}" if kind else f"mode {file.mode}"
        raise PictureError(
            f"its pixels are {kind}, which do not say what is white", _CONVERT
        )
    values, bits = np.asarray(file).astype(np.int32), 16
    tags = getattr(file, "tag_v2", {})
    if tags.get(_BITS_PER_SAMPLE, (16,))[0] == 12:
        bits = 12
    brightest = int(values.max())
    if bits == 16 and 0 < brightest < _LEAST_WHITE:
        raise PictureError(
            f"its pixels have 16 bits, mode {file.mode}, and the brightest of them is "
            f"{brightest} of 65535, so that 8 bits would be nearly black",
            _CONVERT,
        )
    values >>= bits - 8
    if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
        values = 255 - values
    return Image.fromarray(values.astype(np.uint8)).convert("RGB")


def _unidentified(data: bytes) -> tuple[str, str]:
    """Return reason and remedy for a file in which Pillow sees no picture."""

    def kind(known: Sequence[tuple[bytes, str]]) -> str | None:
        found = (name for mark, name in known if re.match(mark, data[:1024], re.DOTALL))
        return next(found, None)

    if name := kind(_OTHERS):
        return (
            f"it is {name}, none of {', '.join(FORMATS)}",
            "convert it to one of these formats and keep its name",
        )
    if name := kind(_NOT_FETCHED):
        return f"it is {name}", DAMAGED
    if name := kind(_READ):
        return f"it is a damaged {name}, or one of a kind that is not read", DAMAGED
    return "not an image format", DAMAGED


def _too_large(error: Exception) -> tuple[str, str]:
    pixels = re.search(r"\d+", str(error))
    count = f"{int(pixels.group()):,}" if pixels else "too many"
    limit = f"{2 * (Image.MAX_IMAGE_PIXELS or 0):,}"
    return f"it has {count} pixels, and at most {limit} are read", _SMALLER
