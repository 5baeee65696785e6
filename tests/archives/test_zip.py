"""What zips of other programs have: names, methods, passwords, sizes that lie."""

import multiprocessing
import re
import resource
import struct
import zipfile
import zlib
from pathlib import Path

import pytest

from mlrpl.archives.formats import open_archive
from mlrpl.archives.zip import ZipArchive
from mlrpl.errors import UserError
from support.data_files import write_zip

LOCAL, CENTRAL = b"PK\x03\x04", b"PK\x01\x02"


def edited(path: Path, edit) -> Path:
    """Change a zip's bytes; `edit` gets them and the places of its entries."""
    data = bytearray(path.read_bytes())
    marks = [(mark.start(), 0) for mark in re.finditer(re.escape(LOCAL), data)]
    marks += [(mark.start(), 2) for mark in re.finditer(re.escape(CENTRAL), data)]
    for place, shift in marks:
        edit(data, place, shift)
    path.write_bytes(data)
    return path


def marked(path: Path, flags: int = 0, method: int | None = None) -> Path:
    """A zip whose entries say that they have other flags and another method."""

    def edit(data, place, shift):
        data[place + 6 + shift] |= flags
        if method is not None:
            data[place + 8 + shift : place + 10 + shift] = struct.pack("<H", method)

    return edited(path, edit)


def unmarked(path: Path, names: dict[str, bytes]) -> Path:
    """A zip whose names are these bytes, without the flag for UTF-8."""
    write_zip(path, {"Q" * len(raw): text for text, raw in names.items()})
    data = path.read_bytes()
    for raw in names.values():
        data = data.replace(b"Q" * len(raw), raw)
    path.write_bytes(data)
    return path


def fault(path: Path, *arguments, use=ZipArchive.read) -> str:
    with pytest.raises(UserError) as caught, open_archive(path) as archive:
        use(archive, *arguments)
    message = str(caught.value)
    assert message.startswith(f"{path}: ") and "\n" not in message and "; " in message
    return message


@pytest.mark.parametrize(
    ("method", "name"),
    [(9, "Deflate64"), (93, "Zstandard"), (95, "XZ"), (98, "PPMd"), (77, "method 77")],
)
def test_other_methods_are_named_before_anything_is_read(method, name, tmp_path):
    path = write_zip(tmp_path / "x.zip", {"a.jpg": b"1", "b.jpg": b"2"})
    marked(path, method=method)
    for use in (ZipArchive.read, ZipArchive.open):
        message = fault(path, "b.jpg", use=use)
        assert f"b.jpg is packed by {name}, which cannot be read here; " in message
        assert "delete" not in message
    assert "a.jpg" in fault(path, ["a.jpg", "b.jpg"], use=ZipArchive.check)


def test_a_password_is_named(tmp_path):
    path = marked(write_zip(tmp_path / "x.zip", {"a.jpg": b"1"}), flags=1)
    for use, argument in ((ZipArchive.read, "a.jpg"), (ZipArchive.check, ["a.jpg"])):
        message = fault(path, argument, use=use)
        assert "a.jpg is encrypted; unpack the zip with its password" in message
        assert "delete" not in message


def test_names_without_the_flag(tmp_path):
    """UTF-8 where it is that, else what zipfile makes of them; backslashes."""
    path = unmarked(tmp_path / "x.zip", {"1": "ü/ß.jpg".encode()})
    with open_archive(path) as archive:
        assert archive.names() == ("ü/ß.jpg",)
        assert archive.read("ü/ß.jpg") == b"1"
    path = unmarked(tmp_path / "y.zip", {"2": b"b\\c.jpg", "3": b"\x81.jpg"})
    with open_archive(path) as archive:
        assert archive.names() == ("b/c.jpg", "ü.jpg")
        assert archive.read("b/c.jpg") == b"2"
        assert archive.read("ü.jpg") == b"3"
    path = unmarked(tmp_path / "z.zip", {"4": b"..\\..\\d.jpg"})
    assert "leads outside the archive" in fault(path, use=ZipArchive.names)


def test_zips_that_cannot_be_opened(tmp_path):
    path = write_zip(tmp_path / "later.zip", {"a": b"1"})

    def later(data, place, shift):
        data[place + 4 + shift] = 99

    message = fault(edited(path, later), use=ZipArchive.names)
    assert "zip file version 9.9" in message and "delete" not in message
    path = unmarked(tmp_path / "bytes.zip", {"1": b"\xff\xfe.jpg"})
    data = bytearray(path.read_bytes())
    for mark, shift in ((LOCAL, 7), (CENTRAL, 9)):
        data[data.index(mark) + shift] |= 8  # the flag for UTF-8
    path.write_bytes(data)
    message = fault(path, use=ZipArchive.names)
    assert "marked as UTF-8 and is not; " in message and "delete" not in message
    path = tmp_path / "part.zip"
    path.write_bytes(b"PK\x07\x08" + write_zip(tmp_path / "w.zip", {}).read_bytes())
    with pytest.raises(UserError, match="one part of a zip of several; join"):
        open_archive(path)


def test_an_entry_without_a_name_is_none(tmp_path):
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as file:
        with file.open(zipfile.ZipInfo(""), "w") as member:
            member.write(b"0")
        file.writestr("a", b"1")
    with open_archive(path) as archive:
        assert archive.names() == ("a",)
        assert archive.read("a") == b"1"


@pytest.mark.parametrize(
    "method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2]
)
def test_damage_is_named(method, tmp_path):
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w", method) as file:
        file.writestr("a", bytes(range(256)) * 50)
    data = bytearray(path.read_bytes())
    data[45:60] = bytes(15)
    path.write_bytes(data)
    assert "truncated or damaged zip (a: " in fault(path, "a")


def said(path: Path, size: int, crc: int | None = None) -> Path:
    """A zip whose entries say that they have this many bytes, unpacked."""

    def edit(data, place, shift):
        data[place + 22 + shift : place + 26 + shift] = struct.pack("<I", size)
        if crc is not None:
            data[place + 14 + shift : place + 18 + shift] = struct.pack("<I", crc)

    return edited(path, edit)


def limited(path: Path, answer) -> None:
    """Read the only file with 120 MB of memory more than there is now."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + 120 * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    try:
        with open_archive(path) as archive:
            answer.send(archive.read("a", most=2**30))
    except UserError as error:
        answer.send(str(error))


@pytest.mark.parametrize(
    "method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2]
)
@pytest.mark.parametrize("declared", [None, 500, 2**32 - 2])
def test_a_small_zip_takes_no_large_memory(method, declared, tmp_path):
    """Of 160 MB packed to nearly nothing no more is unpacked than is said or left."""
    path = tmp_path / "x.zip"
    with (
        zipfile.ZipFile(path, "w", method) as file,
        file.open("a", "w", force_zip64=False) as member,
    ):
        for _ in range(20):
            member.write(bytes(8 << 20))
    assert path.stat().st_size < 1 << 20
    if declared is not None:
        said(path, declared, zlib.crc32(bytes(500)) if declared == 500 else None)
    answer, asked = multiprocessing.get_context("fork").Pipe()
    process = multiprocessing.get_context("fork").Process(
        target=limited, args=(path, asked)
    )
    process.start()
    assert answer.poll(60)
    result = answer.recv()
    process.join()
    if declared == 500:
        # bzip2 has all of it in one block, which is unpacked at once.
        least = "no memory is left" if method == zipfile.ZIP_BZIP2 else "damaged zip"
        assert result == bytes(500) or least in result
    elif declared is None:
        assert "a has 167,772,160 bytes, and " in result and "memory" in result
    else:
        assert "a has 4,294,967,294 bytes, and at most 1,073,741,824 are" in result
