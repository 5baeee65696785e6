"""What pictures become: their bits, formats, rotation, and the reason of a refusal."""

import io
import subprocess
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps

from mlrpl.encoder.decoding import FORMATS, PictureError, decode

# What Pillow warns of, on the way to an error or to a picture.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

RAMP = np.tile(np.linspace(0, 65535, 64).astype(np.uint16), (8, 1))
COLOURS = Image.fromarray(
    np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
)
SCALED = "its pixels are {}, mode {}, which do not say what is white"


def encoded(image: Image.Image | np.ndarray, kind: str, **options) -> bytes:
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def refused(data: bytes, exif_rotation=False) -> tuple[str, str]:
    with pytest.raises(PictureError) as caught:
        decode(data, exif_rotation)
    assert "\n" not in f"{caught.value}{caught.value.remedy}"
    return str(caught.value), caught.value.remedy


@pytest.mark.parametrize(
    "data",
    [
        encoded(RAMP, "PNG"),
        encoded(RAMP, "TIFF"),
        encoded(RAMP, "TIFF", compression="tiff_lzw"),
        encoded(RAMP.astype(">u2"), "TIFF"),
        encoded(RAMP, "PPM"),
        b"P5 64 8 4095\n" + (RAMP >> 4).astype(">u2").tobytes(),
        encoded(RAMP, "JPEG2000", irreversible=False),
        encoded(65535 - RAMP, "TIFF", tiffinfo={262: 0}),  # 0 is white
    ],
    ids=["png", "tiff", "lzw", "big-endian", "pgm", "pgm 12", "jp2", "inverted"],
)
def test_sixteen_bits_of_grey_keep_their_high_byte(data):
    got = np.asarray(decode(data)).astype(int)
    assert got.shape == (8, 64, 3)
    assert np.abs(got - (RAMP >> 8)[..., None]).max() <= 1


def test_sixteen_bits_of_colour_and_black_pictures(tmp_path):
    """A PNG of 16 bits a channel, written by hand: Pillow writes none."""
    rgb = np.random.default_rng(1).integers(0, 65536, (4, 5, 3), np.uint16)
    lines = b"".join(b"\0" + row.astype(">u2").tobytes() for row in rgb)
    parts = [
        (b"IHDR", b"\0\0\0\5\0\0\0\4\x10\2\0\0\0"),
        (b"IDAT", zlib.compress(lines)),
    ]
    data = b"\x89PNG\r\n\x1a\n"
    for name, body in [*parts, (b"IEND", b"")]:
        data += len(body).to_bytes(4, "big") + name + body
        data += zlib.crc32(name + body).to_bytes(4, "big")
    assert np.array_equal(np.asarray(decode(data)), rgb >> 8)
    assert not np.asarray(decode(encoded(0 * RAMP, "PNG"))).any()


@pytest.mark.parametrize(
    ("pixels", "reason"),
    [
        (RAMP.astype(np.int32), SCALED.format("32-bit integers", "I")),
        ((RAMP - 32768).astype(np.int32), SCALED.format("32-bit integers", "I")),
        ((RAMP / 65535).astype("f4"), SCALED.format("floating-point numbers", "F")),
        (RAMP >> 4, "16 bits, mode I;16, and the brightest of them is 4095 of 65535"),
        (RAMP >> 8, "the brightest of them is 255 of 65535"),
    ],
)
def test_numbers_without_a_scale_are_refused(pixels, reason):
    found, remedy = refused(encoded(pixels, "TIFF"))
    assert reason in found
    assert remedy.startswith("save it with 8 bits a channel")


@pytest.mark.parametrize(
    ("data", "reason", "remedy"),
    [
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "PostScript", "convert"),
        (b"%PDF-1.7\n", "PDF", "convert"),
        (b"\0\0\0\x18ftypheic" + bytes(99), "HEIF", "convert"),
        (b'<?xml version="1.0"?>\n<svg xmlns="s"/>', "SVG", "convert"),
        (bytes(128) + b"DICM" + bytes(99), "DICOM", "convert"),
        (b"<!DOCTYPE html><html></html>", "an HTML page", "fetch"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS", "fetch"),
        (encoded(COLOURS, "TGA"), "not an image format", "fetch"),
        (b"", "not an image format", "fetch"),
        (encoded(COLOURS, "TIFF")[:40], "a damaged TIFF", "fetch"),
        (encoded(COLOURS, "PNG")[:99], "", "fetch"),
        (encoded(COLOURS, "JPEG")[:700], "truncated", "fetch"),
        (encoded(COLOURS, "WEBP")[:99], "", "fetch"),
        (encoded(COLOURS, "AVIF")[:-30], "", "fetch"),
        (encoded(Image.new("1", (20_000, 10_000)), "PNG"), "200,000,000 pix", "scale"),
    ],
)
def test_the_reason_and_the_remedy_of_a_refusal(data, reason, remedy):
    found, advice = refused(data)
    assert reason in found
    assert advice.startswith(remedy)


def test_no_format_starts_a_program(monkeypatch):
    def run(*arguments, **options):
        raise AssertionError(f"started {arguments}")

    for name in ("Popen", "run", "check_call", "check_output"):
        monkeypatch.setattr(subprocess, name, run)
    refused(encoded(COLOURS, "EPS"))


def test_damage_anywhere_is_a_reason_and_no_other_exception():
    random = np.random.default_rng(2)
    for kind in ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "PPM", "JPEG2000"):
        whole = encoded(COLOURS, kind)
        for _ in range(30):
            data = bytearray(whole)
            for place in random.integers(0, min(len(data), 200), 3):
                data[place] = random.integers(0, 256)
            try:
                assert decode(bytes(data)).mode == "RGB"
            except PictureError as error:
                assert "\n" not in str(error)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_exif_turns_pictures_where_it_is_asked_for(kind):
    """All eight orientations, against Pillow's own turning of the opened file."""
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[274] = orientation
        data = encoded(COLOURS, kind, exif=exif)
        with Image.open(io.BytesIO(data)) as file:
            stored = np.asarray(file.convert("RGB"))
            turned = np.asarray(ImageOps.exif_transpose(file).convert("RGB"))
        assert np.array_equal(np.asarray(decode(data)), stored)
        assert np.array_equal(np.asarray(decode(data, True)), turned)
    exif[274] = 6
    grey = np.asarray(decode(encoded(RAMP, "TIFF", exif=exif), True))
    assert np.array_equal(grey[..., 0], np.rot90(RAMP >> 8, -1))


def test_the_page_of_formats_says_what_is_read(repository):
    page = (repository / "docs/data.md").read_text()
    [row] = [line for line in page.splitlines() if line.startswith("| pictures ")]
    listed = row.split("|")[2].upper().replace(" ", "").split("OFUPTO")[0]
    assert listed.strip(",").split(",") == list(FORMATS)
    assert f"{2 * Image.MAX_IMAGE_PIXELS:,} pixels" in row
