"""Names that labels and archives spell in two ways lead to one file, or to a hint."""

import unicodedata

import pytest

from mlrpl.archives.formats import open_archive
from mlrpl.archives.names import Names, own_names
from support.data_files import write_zip


@pytest.fixture
def names(tmp_path):
    """Names in a zip of files."""

    def made(*files: str) -> Names:
        path = write_zip(tmp_path / "x.zip", dict.fromkeys(files, b"1"))
        with open_archive(path) as archive:
            return Names.of(archive)

    return made


COMPOSED = unicodedata.normalize("NFC", "Zürich/café.png")


@pytest.mark.parametrize(
    ("there", "written"),
    [
        ("a/b.jpg", "a/b.jpg"),
        ("a/b.jpg", "a\\b.jpg"),
        ("a/b.jpg", ".\\a\\b.jpg"),
        ("a/b.jpg", "./a//b.jpg"),
        ("a/my b.jpg", "a/my%20b.jpg"),
        ("a/my%20b.jpg", "a/my b.jpg"),
        ("a/b.jpg", "A/B.JPG"),
        ("Straße.JPG", "STRASSE.jpg"),
        (COMPOSED, unicodedata.normalize("NFD", COMPOSED)),
        (unicodedata.normalize("NFD", COMPOSED), COMPOSED),
        (unicodedata.normalize("NFD", COMPOSED), COMPOSED.upper().replace("/", "\\")),
        ("猫/1.jpg".encode("gbk").decode("cp437"), "猫/1.jpg"),
        ("犬.jpg".encode("shift_jis").decode("cp437"), "犬.jpg"),
        ("größe.jpg".encode("cp1252").decode("cp437"), "größe.jpg"),
    ],
)
def test_other_spellings_lead_to_the_file(names, there, written):
    found = names(there, "other.jpg").find(written)
    assert found == there
    assert names("other.jpg").find(written) is None


def test_a_name_that_is_there_is_taken_as_it_stands(names):
    found = names("a.jpg", "A.jpg", "50%25.jpg", "50%.jpg", "b.jpg")
    for name in found.all:
        assert found.find(name) == name
    assert found.find("a.JPG") is None  # either could be meant
    assert found.find("B.JPG") == "b.jpg"
    assert found.hint("a.JPG") == ", which has A.jpg, a.jpg"


@pytest.mark.parametrize(
    ("written", "hint"),
    [
        ("b.jpg", ", which has train/b.jpg"),
        ("C:\\data\\train\\b.jpg", ", which has train/b.jpg"),
        ("../media/B.JPG", ", which has train/b.jpg"),
        ("train/b.png", ", which has train/b.jpg"),
        ("train/b", ", which has train/b.jpg"),
        ("train/c.jpg", ""),
    ],
)
def test_hints_say_where_a_file_might_be(names, written, hint):
    found = names("train/b.jpg", "train/d.jpg")
    assert found.find(written) is None
    assert found.hint(written) == hint


def test_pictures_by_their_stem(names):
    found = names("p/a.JPG", "p/a.txt", "p/b.webp", "p/b.Tif", "p/b.c.png", "q/a.png")
    assert found.with_stem("p/a") == ["p/a.JPG"]
    assert found.with_stem("p/b") == ["p/b.Tif", "p/b.webp"]
    assert found.with_stem("p/b.c") == ["p/b.c.png"]
    assert found.with_stem("p/x") == []


def test_files_of_macos_are_not_ones_own():
    listed = ["a.json", "__MACOSX/._a.json", "b/._c.json", "b/_d.json"]
    assert own_names(listed) == ["a.json", "b/_d.json"]
