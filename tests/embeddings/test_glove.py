"""Class vectors against the vectors that the field's code published."""

import gzip
import os
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest

from mlrpl.data.index import Index
from mlrpl.embeddings.glove import class_vectors, word_vectors
from mlrpl.errors import UserError
from support.data_files import command

TINY = "the 1 2 3\ncat 0.5 -1 2e-1\nhot 1 1 1\ndog 3 5 7\ncat 9 9 9\n"


def text_of(vectors: dict[str, np.ndarray]) -> str:
    return "".join(
        f"{word} {' '.join(f'{x:.17g}' for x in vector)}\n"
        for word, vector in vectors.items()
    )


def words_of(classes, rows: np.ndarray) -> dict[str, np.ndarray]:
    """Vectors of single words that have the published class vectors as their means.

    A word that is a class itself has that row; of the others of a name all but the
    last are drawn, and the last is what the mean then lacks.
    """
    random = np.random.RandomState(5)
    vectors = {c: row for c, row in zip(classes, rows, strict=True) if " " not in c}
    for name, row in zip(classes, rows, strict=True):
        words = name.split()
        for word in words[:-1]:
            vectors.setdefault(word, random.standard_normal(rows.shape[1]))
        if words[-1] not in vectors:
            rest = sum(vectors[word] for word in words[:-1])
            vectors[words[-1]] = len(words) * row - rest
        elif len(words) > 1:  # "hot dog": dog is a class, hot is what lacks
            vectors[words[0]] = 2 * row - vectors[words[1]]
    return vectors


def test_published_840b_coco_vectors(oracles, tmp_path):
    """15 of the 80 names have two words, some of them words of other names."""
    classes = [str(c) for c in np.load(oracles / "coco2014_val_labels.npz")["classes"]]
    rows = np.load(oracles / "glove840B_coco_80x300.npy")
    path = tmp_path / "glove.txt"
    path.write_text(text_of(words_of(classes, rows)))
    vectors = class_vectors(path, classes)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, rows, atol=1e-6)
    again = class_vectors(path, [c.title().replace(" ", "_") for c in classes])
    np.testing.assert_array_equal(vectors, again)


def test_published_840b_voc_vectors_from_coco_rows(oracles, tmp_path):
    """The VOC names that are COCO's words under other names, through `words`."""
    coco = [str(c) for c in np.load(oracles / "coco2014_val_labels.npz")["classes"]]
    voc = [str(c) for c in np.load(oracles / "voc2007_labels.npz")["classes"]]
    vectors = words_of(coco, np.load(oracles / "glove840B_coco_80x300.npy"))
    path = tmp_path / "glove.txt"
    path.write_text(text_of(vectors))
    other = {
        "aeroplane": "airplane",
        "diningtable": "dining table",
        "motorbike": "motorcycle",
        "pottedplant": "Potted_Plant",
        "sofa": "couch",
        "tvmonitor": "tv",
    }
    found = class_vectors(path, voc, words=other)
    published = np.load(oracles / "glove840B_voc07_20x300.npy")
    same = [c for c, name in enumerate(voc) if name not in other]
    assert len(same) == 14
    np.testing.assert_allclose(found[same], published[same], atol=1e-6)
    for name, words in other.items():
        row = coco.index(words.lower().replace("_", " "))
        expected = np.load(oracles / "glove840B_coco_80x300.npy")[row]
        np.testing.assert_allclose(found[voc.index(name)], expected, atol=1e-6)


def test_real_glove_lines(oracles, tmp_path):
    """100 lines of the published 6B file, against a plain reading of them."""
    packed = oracles / "glove.6B.300d.sample.txt.gz"
    text = gzip.decompress(packed.read_bytes())
    table = {
        line.split(" ")[0]: np.array(line.split(" ")[1:], float)
        for line in text.decode().splitlines()
    }
    assert len(table) == 100
    plain = tmp_path / "glove.6B.300d.txt"
    plain.write_bytes(text)
    archive = tmp_path / "glove.6B.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("glove.6B.50d.txt", "the 1 2 3\n")
        file.write(plain, plain.name)
    classes = ["The", "two year", "u.s. government time", "n't", "president_most"]
    expected = [
        table["the"],
        (table["two"] + table["year"]) / 2,
        (table["u.s."] + table["government"] + table["time"]) / 3,
        table["n't"],
        (table["president"] + table["most"]) / 2,
    ]
    for path, member in ((packed, None), (plain, None), (archive, plain.name)):
        vectors = class_vectors(path, classes, member=member)
        assert vectors.shape == (5, 300)
        np.testing.assert_allclose(vectors, expected, atol=1e-7)
    assert word_vectors(plain, {"the", "unheard-of"}).keys() == {"the"}
    with pytest.raises(UserError, match=r"holds glove\.6B\.50d\.txt, glove\.6B\.300d"):
        class_vectors(archive, classes)


def test_photographs_vectors_are_the_published_rows(photos, oracles):
    """Class words of real photographs: 18 classes, 300 numbers, COCO's rows."""
    with (photos / "coco18/labels.csv").open() as file:
        classes = file.readline().strip().split(",")[2:]
    vectors = class_vectors(photos / "coco18/glove.txt", classes)
    coco = [str(c) for c in np.load(oracles / "coco2014_val_labels.npz")["classes"]]
    rows = np.load(oracles / "glove840B_coco_80x300.npy")
    expected = rows[[coco.index(name) for name in classes]]
    np.testing.assert_allclose(vectors, expected, atol=6e-6)  # five decimals there


def test_first_occurrence_counts_and_order_is_the_classes(tmp_path):
    path = tmp_path / "g.txt"
    path.write_text(TINY)
    np.testing.assert_allclose(
        class_vectors(path, ["hot dog", "Cat"]), [[2, 3, 4], [0.5, -1, 0.2]]
    )


@pytest.mark.parametrize("ending", ["\n", "\r\n", " \n"])
@pytest.mark.parametrize("header", ["", "6 3"])
def test_headers_and_line_ends(ending, header, tmp_path):
    path = tmp_path / "g.vec"
    lines = [header, *TINY.splitlines()] if header else TINY.splitlines()
    path.write_bytes(ending.join([*lines, ""]).encode())
    np.testing.assert_allclose(
        class_vectors(path, ["dog", "cat", "the"]),
        [[3, 5, 7], [0.5, -1, 0.2], [1, 2, 3]],
    )


def test_tokens_with_spaces_are_not_their_first_word(tmp_path):
    """As `at name@domain.com` and `. . .` in the 840B file."""
    path = tmp_path / "g.txt"
    path.write_text(
        "the 1 2 3\ncat name@domain.com 7 7 7\ncat 5 6 7 8\n. . . 1 2 3\n"
        "cat 4 5 6\n\xa0 1 1 1\n",
        encoding="utf-8",
    )
    np.testing.assert_allclose(class_vectors(path, ["cat"]), [[4, 5, 6]])


def test_words_of_other_alphabets(tmp_path):
    path = tmp_path / "g.txt"
    path.write_text("the 1 2\nhühner 3 4\nkatze\x85 1 1\n", encoding="utf-8")
    np.testing.assert_allclose(class_vectors(path, ["Hühner"]), [[3, 4]])


def fails(path: Path, classes, match: str, **options) -> str:
    with pytest.raises(UserError, match=match) as caught:
        class_vectors(path, classes, **options)
    assert "\n" not in str(caught.value)
    assert "; " in str(caught.value)
    return str(caught.value)


REMEDY = (
    "give these classes words that it has, in the config as `words: {tvmonitor: tv "
    "monitor}` of the data set, or set `words: clip` for CLIP's own text features"
)


def test_every_missing_word_is_named_with_its_class(tmp_path):
    path = tmp_path / "g.txt"
    path.write_text(TINY)
    assert fails(path, ["cat", "hot rod", "emu emu", "dog"], match="no vector") == (
        f"{path}: has no vector for rod (class hot rod), emu (class emu emu); {REMEDY}"
    )
    fails(
        path, ["cat"], match="words: dgo is not a class.*are cat$", words={"dgo": "dog"}
    )
    fails(path, ["cat"], match="words: cat has no word", words={"cat": " _"})


def test_bad_files(tmp_path):
    path = tmp_path / "g.txt"
    fails(path, ["cat"], match="g.txt: is not there; download the vectors")
    where = re.escape(str(path))
    for text in ("", "<html>\n", "the cat sat\n", "a 1\n", "the 1 2 nan\n"):
        path.write_text(text)
        fails(path, ["cat"], match=f"^{where}: line 1 is not a word with . numbers")
    for line in ("cat 1 2", "cat 1 2 x", "cat 1 2 inf", "cat"):
        path.write_text(f"the 1 2 3\n{line}\n")
        if line == "cat":
            fails(path, ["cat"], match=r"no vector for cat \(class cat\)")
        else:
            fails(path, ["cat"], match=f"^{where}: line 2 is not a word with 3 numbers")
    path.write_text(TINY)
    fails(path, ["cat"], match="is not a zip, so it has no member x", member="x")
    path.write_bytes(np.random.RandomState(0).bytes(5000))
    fails(path, ["cat"], match="line 1 is not a word")


@pytest.mark.parametrize("number", ["nan", "-inf", "1e39", "1e400"])
def test_numbers_that_are_not_finite_are_named(number, tmp_path):
    """Also those of 64 bits: the vectors are kept in 32."""
    path = tmp_path / "g.txt"
    path.write_text(f"the 1 2\ncat 3 {number}\n")
    fails(path, ["cat"], match=rf"line 2 is not a word .*\({number} is none of 32 bits")


@pytest.mark.parametrize("header", ["", "3 2\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_tabs_and_byte_order_marks(header, mark, tmp_path):
    path = tmp_path / "g.txt"
    text = f"{mark}{header}cat\t1\t2\nhot dog\t3\t4\nthe\t5\t6\n"
    path.write_text(text, encoding="utf-8")
    np.testing.assert_allclose(class_vectors(path, ["cat", "the"]), [[1, 2], [5, 6]])
    fails(path, ["hot"], match="no vector for hot")
    path.write_text(text.replace("\t", " "), encoding="utf-8")
    np.testing.assert_allclose(class_vectors(path, ["cat", "the"]), [[1, 2], [5, 6]])


def test_files_that_are_no_text_or_no_files(tmp_path):
    path = tmp_path / "g.txt"
    path.write_bytes(b"the 1 2\n" + b"x" * (1 << 19))
    fails(path, ["cat"], match="line 2 has no end; give GloVe's text format")
    fails(tmp_path, ["cat"], match="is a folder and no file; download")
    os.mkfifo(tmp_path / "pipe")
    fails(tmp_path / "pipe", ["cat"], match="is a named pipe or a device and no file")


@pytest.mark.parametrize(
    ("place", "change", "fault"),
    [
        (8, b"\x09\0", "g.txt is packed by Deflate64, which cannot be read here; un"),
        (6, b"\x01\0", "g.txt is encrypted; unpack the zip with its password"),
    ],
)
def test_a_zip_that_cannot_be_unpacked(place, change, fault, tmp_path):
    path = tmp_path / "g.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("g.txt", "the 1 2\n" * 50)
        file.writestr("__MACOSX/._g.txt", "?")
    np.testing.assert_allclose(class_vectors(path, ["the"]), [[1, 2]])
    data = bytearray(path.read_bytes())
    for mark, shift in ((b"PK\x03\x04", 0), (b"PK\x01\x02", 2)):
        at = data.index(mark) + place + shift
        data[at : at + 2] = change
    path.write_bytes(data)
    assert "delete" not in fails(path, ["the"], match=fault)


@pytest.mark.parametrize("kind", ["gz", "zip"])
def test_truncated_files(kind, tmp_path):
    random = np.random.RandomState(0)
    text = text_of({f"w{i}": random.standard_normal(20) for i in range(3000)})
    path = tmp_path / f"g.{kind}"
    if kind == "gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
            file.writestr("g.txt", text)
    assert class_vectors(path, ["w2999"]).shape == (1, 20)
    fails(path, ["w2999"], member="h.txt", match="holds no h.txt|is not a zip")
    raw = path.read_bytes()
    damaged = bytearray(raw)
    damaged[len(raw) // 2 : len(raw) // 2 + 40] = bytes(40)
    path.write_bytes(damaged)
    fails(path, ["w2999"], match="truncated or damaged.*fetch it again")
    path.write_bytes(raw[: len(raw) // 2])
    fails(path, ["w2999"], match="truncated or damaged.*fetch it again")


def test_command(photos, repository, tmp_path):
    with (photos / "coco18/labels.csv").open() as file:
        classes = tuple(file.readline().strip().split(",")[2:])
    labels = np.ones((1, len(classes)), np.int8)
    Index("p", "train", classes, ("a.jpg",), labels).save(tmp_path / "i.h5")
    out = tmp_path / "glove.npy"
    path = photos / "coco18/glove.txt"
    arguments = ["glove", "--vectors", path, "--index", tmp_path / "i.h5"]
    done = command(repository, *arguments, "--output", out, "--words", "cat=stop sign")
    assert done.returncode == 0, done.stderr
    vectors = np.load(out)
    assert vectors.dtype == np.float32
    words = {"cat": "stop sign"}
    np.testing.assert_array_equal(vectors, class_vectors(path, classes, words=words))
    cat, sign = classes.index("cat"), classes.index("stop sign")
    np.testing.assert_array_equal(vectors[cat], vectors[sign])
    for words, message in (
        (
            ["cat=tom cat", "dog=good dog"],
            f"{path}: has no vector for tom (class cat), good (class dog); {REMEDY}",
        ),
        (["cat"], "--words: 'cat' is not a pair; write CLASS=WORDS"),
        (["cat=a", "cat=b"], "--words: cat is listed twice; keep one"),
    ):
        done = command(repository, *arguments, "--output", out, "--words", *words)
        assert done.returncode == 1
        assert done.stderr == f"mlrpl glove: error: {message}\n"
    np.testing.assert_array_equal(np.load(out), vectors)
