"""What tars of other programs have: links, holes, sizes and names without end."""

import gzip
import io
import os
import tarfile
from pathlib import Path

import pytest

from mlrpl.archives.formats import open_archive
from mlrpl.archives.names import Names
from mlrpl.errors import UserError

BLOCK = 512


def link(name: str, target: str, kind=tarfile.SYMTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def write(path: Path, *members: tarfile.TarInfo | tuple[str, bytes]) -> Path:
    with tarfile.open(path, "w") as tar:
        for member in members:
            if isinstance(member, tuple):
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                tar.addfile(info, io.BytesIO(member[1]))
            else:
                tar.addfile(member)
    return path


def header(name: bytes, size: int, kind: bytes = b"0") -> bytearray:
    """A header with any size: beyond eight octal digits in base 256."""
    info = tarfile.TarInfo("x")
    block = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    block[0 : len(name)] = name
    block[124:136] = b"\x80" + size.to_bytes(11, "big")
    block[156:157] = kind
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return block


def fault(path: Path) -> str:
    with pytest.raises(UserError) as caught, open_archive(path) as archive:
        archive.names()
    message = str(caught.value)
    assert message.startswith(f"{path}: ") and "\n" not in message
    return message


def test_links_inside_a_tar_are_their_targets(tmp_path):
    path = write(
        tmp_path / "x.tar",
        link("early.jpg", "a/1.jpg"),
        ("./a/1.jpg", b"one"),
        ("2.jpg", b"two"),
        link("hard.jpg", "a/1.jpg", tarfile.LNKTYPE),
        link("a/hard.jpg", "./2.jpg", tarfile.LNKTYPE),
        link("a/soft.jpg", "1.jpg"),
        link("b/up.jpg", "../a/soft.jpg"),
    )
    with open_archive(path) as archive:
        read = {name: archive.read(name) for name in archive.names()}
        assert archive.left_out() == {}
    one, two = ("early.jpg", "a/1.jpg", "hard.jpg", "a/soft.jpg"), ("2.jpg",)
    assert read == {
        **dict.fromkeys((*one, "b/up.jpg"), b"one"),
        **dict.fromkeys((*two, "a/hard.jpg"), b"two"),
    }
    assert next(iter(read)) == "early.jpg"


def test_links_that_lead_nowhere_are_told(tmp_path):
    path = write(
        tmp_path / "x.tar",
        ("a.jpg", b"1"),
        link("out.jpg", "/etc/hostname"),
        link("up.jpg", "../a.jpg"),
        link("gone.jpg", "b.jpg", tarfile.LNKTYPE),
        link("round.jpg", "round.jpg"),
    )
    with open_archive(path) as archive:
        assert archive.names() == ("a.jpg",)
        names = Names.of(archive)
    for name, target in (
        ("out.jpg", "/etc/hostname"),
        ("up.jpg", "../a.jpg"),
        ("gone.jpg", "b.jpg"),
        ("round.jpg", "round.jpg"),
    ):
        assert names.find(name) is None
        text = f", where {name} is a link to {target}, which is no file of this tar"
        assert names.hint(name) == text


def test_a_pipe_in_a_tar_is_no_file(tmp_path):
    path = write(tmp_path / "x.tar", link("p.jpg", "", tarfile.FIFOTYPE), ("a", b"1"))
    with open_archive(path) as archive:
        assert archive.names() == ("a",)
        assert archive.left_out() == {"p.jpg": "is no file"}


@pytest.mark.parametrize("size", [3000, 2**40, 2**63, 2**70])
def test_sizes_beyond_the_file_are_damage(size, tmp_path):
    path = tmp_path / "x.tar"
    path.write_bytes(header(b"a.jpg", size) + bytes(4 * BLOCK))
    with pytest.raises(UserError, match="truncated or damaged tar"):
        open_archive(path).names()


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("kind", [b"L", b"K", b"x", b"g"])
def test_a_name_without_end_is_not_read(kind, packed, tmp_path):
    """200 MB of name, in a file of nothing but a hole."""
    path = tmp_path / "x.tar"
    with (gzip.open if packed else open)(path, "wb") as file:
        file.write(header(b"a.jpg", 200 << 20, kind))
        if packed:
            for _ in range(25):
                file.write(bytes(8 << 20))
    if not packed:
        os.truncate(path, 201 << 20)
    message = fault(path)
    assert "a header has " in message or "is not a zip, tar or folder" in message


def test_names_of_names_without_end_are_damage(tmp_path):
    """Each header of a chain announces the name of the next one."""
    path = tmp_path / "x.tar"
    path.write_bytes((header(b"l", 2, b"L") + b"a\0".ljust(BLOCK, b"\0")) * 3000)
    assert "truncated or damaged tar" in fault(path)
