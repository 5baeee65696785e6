"""Lines of image sets and endings of pictures, as they are in the wild."""

import numpy as np
import pytest

from mlrpl.data import voc
from mlrpl.data.index import Index
from support.data_files import NAMED, fails, write_zip

CLASSES = ["cat", "dog"]


def annotation(name: str) -> str:
    return f"<annotation><object><name>{name}</name></object></annotation>"


@pytest.fixture
def read(tmp_path):
    """The index of an image set: its bytes, and pictures with their classes."""

    def index(
        lines: str | bytes, pictures: dict[str, str], top="VOC2030/", extra=(), **more
    ) -> Index:
        files = {f"{top}ImageSets/Main/train.txt": lines}
        for picture, name in pictures.items():
            stem = picture.rpartition(".")[0]
            files[f"{top}JPEGImages/{picture}"] = b""
            files[f"{top}Annotations/{stem}.xml"] = annotation(name)
        files.update(dict.fromkeys(extra, b""))
        path = write_zip(tmp_path / "v.zip", files)
        return voc.read_index(path, "train", classes=CLASSES, **{**NAMED, **more})

    return index


@pytest.mark.parametrize(
    ("lines", "stems"),
    [
        ("a\nb\n", ("a", "b")),
        ("a  1\nb -1\n", ("a", "b")),
        ("a\t0\r\nb\t1\r\n", ("a", "b")),
        ("my photo (1)\nmy photo\n", ("my photo (1)", "my photo")),
        ("my photo 1\nmy photo 2\n", ("my photo 1", "my photo 2")),
        ("my photo 1  1\nmy photo 2 -1\n", ("my photo 1", "my photo 2")),
        ('"my photo 1"\n"b"\n', ("my photo 1", "b")),
        ("\"my photo\" 1\n'b c' -1\n", ("my photo", "b c")),
        ("a.jpg\nb.JPG\n", ("a", "b")),
        ("a.b.jpg\nb.xml\n", ("a.b", "b")),
        ("JPEGImages/a.jpg\n/data/VOC2007/JPEGImages/b.jpg 1\n", ("a", "b")),
        ("C:\\data\\a.jpg\nb\n", ("a", "b")),
        ("  a  \n\n\nb", ("a", "b")),
        ("A\nB.Jpg\n", ("a", "b")),
        ("\ufeffa\nb\n", ("a", "b")),
        ("a\nb\n".encode("utf-16"), ("a", "b")),
        ("猫 1\nü\n", ("猫", "ü")),
    ],
)
def test_lines_of_image_sets(lines, stems, read):
    index = read(lines, {f"{stems[0]}.jpg": "cat", f"{stems[1]}.jpg": "dog"})
    assert index.images == tuple(f"VOC2030/JPEGImages/{stem}.jpg" for stem in stems)
    np.testing.assert_array_equal(index.labels, [[1, -1], [-1, 1]])


def test_a_line_that_fits_nothing_is_shown_as_it_is(read):
    pictures = {"a.jpg": "cat", "my.jpg": "dog"}
    message = fails(
        read, "a\n my  photo \n", pictures, match="image 'my  photo' has no"
    )
    assert "annotation VOC2030/Annotations/my  photo.xml; use the archive" in message
    fails(read, "a\nb\u200b\n", pictures, match=r"image 'b\\u200b' has no annotation")
    fails(read, "a\nb\n", pictures, match="image b has no annotation VOC2030/Annotat")
    fails(read, "ä\n".encode("latin-1"), pictures, match="is not text in UTF-8 .*save")


@pytest.mark.parametrize(
    "picture",
    [
        "a.bmp",
        "a.webp",
        "a.tif",
        "a.TIFF",
        "a.Jpg",
        "a.JPEG",
        "a.PNG",
        "a.avif",
        "a.gif",
    ],
)
def test_a_picture_may_have_any_ending(picture, read):
    index = read("a\nb\n", {picture: "cat", "b.jpg": "dog"})
    assert index.images == (f"VOC2030/JPEGImages/{picture}", "VOC2030/JPEGImages/b.jpg")


def test_of_two_pictures_neither_is_taken(read):
    pictures = {"a.jpg": "cat", "b.jpg": "dog"}
    other = ["VOC2030/JPEGImages/a.png", "VOC2030/JPEGImages/a.txt"]
    fails(
        read,
        *("a\nb\n", pictures),
        extra=other,
        match=r"JPEGImages/a is there as \S+/a.jpg, \S+/a.png; keep one of them",
    )
    assert read("a\nb\n", pictures, extra=other[1:]).images[0].endswith("a.jpg")


def test_an_annotation_without_its_picture_says_what_was_tried(tmp_path):
    path = write_zip(
        tmp_path / "v.zip",
        {
            "ImageSets/Main/train.txt": "a\n",
            "Annotations/a.xml": annotation("cat"),
            "JPEGImages/old/a.png": b"",
        },
    )
    message = fails(
        *(voc.read_index, path, "train"),
        **{**NAMED, "classes": CLASSES},
        match=r"annotated image JPEGImages/a.jpg is not in .*, nor with another ending",
    )
    assert ".webp" in message and ", which has JPEGImages/old/a.png; " in message


def test_files_of_macos_do_not_count(read):
    index = read(
        "a\nb\n",
        {"a.jpg": "cat", "b.jpg": "dog"},
        extra=["__MACOSX/VOC2030/ImageSets/Main/._train.txt"],
    )
    assert len(index.images) == 2
