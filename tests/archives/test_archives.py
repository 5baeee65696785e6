"""Zip, tar and folder read alike, in several processes; damage is named."""

import errno
import gzip
import io
import multiprocessing
import os
import pickle
import re
import tarfile
import zipfile
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from mlrpl.archives.formats import Archive, open_archive
from mlrpl.errors import UserError

KINDS = ("stored.zip", "deflated.zip", "plain.tar", "v7.tar", "packed.tar.gz", "folder")


def content() -> dict[str, bytes]:
    random = np.random.RandomState(3)
    files = {f"a/{i:03}.bin": random.bytes(200 + 37 * i) for i in range(60)}
    files["a/empty"] = b""
    files["b/large.bin"] = random.bytes(300_000)
    files["ä b.txt"] = "grün".encode()
    return files


def write_tar(path: Path, files: dict[str, bytes], mode: str = "w", **options) -> None:
    with tarfile.open(path, mode, **options) as tar:
        folder = tarfile.TarInfo("./a")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


def write_zip(path: Path, files: dict[str, bytes], method: int) -> None:
    with zipfile.ZipFile(path, "w", method) as file:
        file.writestr("a/", b"")
        for name, data in files.items():
            file.writestr(name, data)


def write(kind: str, folder: Path, files: dict[str, bytes]) -> Path:
    path = folder / kind
    if kind == "stored.zip":
        write_zip(path, files, zipfile.ZIP_STORED)
    elif kind == "deflated.zip":
        write_zip(path, files, zipfile.ZIP_DEFLATED)
    elif kind == "plain.tar":
        write_tar(path, files, format=tarfile.GNU_FORMAT)
    elif kind == "v7.tar":  # before the "ustar" mark was invented, and with ./names
        write_tar(path, {f"./{name}": data for name, data in files.items()})
        raw = bytearray(path.read_bytes())
        offset = 0
        while raw[offset] != 0:
            header = raw[offset : offset + 512]
            header[257:265] = bytes(8)
            header[148:156] = b" " * 8
            header[148:156] = b"%06o\0 " % sum(header)
            raw[offset : offset + 512] = header
            offset += 512 + (int(header[124:135], 8) + 511) // 512 * 512
        path.write_bytes(raw)
    elif kind == "packed.tar.gz":
        write_tar(path, files, "w:gz")
    else:
        for name, data in files.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(data)
    return path


def read_some(archive: Archive, names: list[str]) -> list[bytes]:
    return [archive.read(name) for name in names]


@pytest.mark.parametrize("kind", KINDS)
def test_reads_every_file_in_any_order(kind, tmp_path):
    files = content()
    with open_archive(write(kind, tmp_path, files)) as archive:
        names = archive.names()
        assert set(names) == set(files)
        assert list(names) == (sorted(files) if kind == "folder" else list(files))
        order = list(files)
        np.random.RandomState(0).shuffle(order)
        for name in [*order, *order[:5]]:
            assert archive.read(name) == files[name]
        assert "a/003.bin" in archive
        assert "a" not in archive
        assert "a/" not in archive
        assert "nothing" not in archive
        assert 3 not in archive
    assert archive.read("a/003.bin") == files["a/003.bin"]  # opens again
    archive.close()


@pytest.mark.parametrize("kind", KINDS)
def test_pickled_and_forked_archives_read_the_same_bytes(kind, tmp_path):
    """Many processes read at once, after the parent's own read has moved its file."""
    files = content()
    archive = open_archive(write(kind, tmp_path, files))
    names = list(files)
    archive.read(names[5])
    assert len(pickle.dumps(archive)) < 500 + len(str(archive.path))
    for method in ("fork", "spawn"):
        context = multiprocessing.get_context(method)
        with ProcessPoolExecutor(2, mp_context=context) as pool:
            jobs = [pool.submit(read_some, archive, names[k::4] * 5) for k in range(4)]
            for k, job in enumerate(jobs):
                assert job.result() == [files[name] for name in names[k::4]] * 5
    archive.close()


@pytest.mark.parametrize("kind", KINDS)
def test_an_open_archive_survives_a_bare_fork(kind, tmp_path):
    """Parent and child interleave reads of one archive that was open at the fork."""
    files = content()
    archive = open_archive(write(kind, tmp_path, files))
    archive.read("a/000.bin")
    parent, child = multiprocessing.Pipe()

    def check() -> None:
        for _ in range(20):
            ok = all(archive.read(name) == data for name, data in files.items())
            child.send(ok)

    process = multiprocessing.get_context("fork").Process(target=check)
    process.start()
    for _ in range(20):
        assert all(archive.read(name) == data for name, data in files.items())
        assert parent.poll(60)
        assert parent.recv()
    process.join()
    assert process.exitcode == 0
    archive.close()


@pytest.mark.parametrize("kind", KINDS)
def test_threads_share_an_archive(kind, tmp_path):
    files = content()
    names = list(files) * 10
    with (
        open_archive(write(kind, tmp_path, files)) as archive,
        ThreadPoolExecutor(4) as pool,
    ):
        archive.names()
        assert list(pool.map(archive.read, names)) == [files[n] for n in names]


@pytest.mark.parametrize("kind", KINDS)
def test_bad_names(kind, tmp_path):
    path = write(kind, tmp_path, content())
    (tmp_path / "secret").write_bytes(b"outside")
    with open_archive(path) as archive:
        with pytest.raises(UserError, match=f"^{re.escape(str(path))}: holds no a/x;"):
            archive.read("a/x")
        for name in ("../secret", "a/../../secret", str(tmp_path / "secret")):
            with pytest.raises(UserError, match="leads outside the archive"):
                archive.read(name)


@pytest.mark.parametrize("name", ["../evil.jpg", "/etc/evil.jpg", "a/../../evil.jpg"])
def test_members_that_lead_out_are_refused(name, tmp_path):
    write_zip(tmp_path / "x.zip", {"a.jpg": b"1", name: b"2"}, zipfile.ZIP_STORED)
    write_tar(tmp_path / "x.tar", {"a.jpg": b"1", name: b"2"})
    for path in (tmp_path / "x.zip", tmp_path / "x.tar"):
        with (
            pytest.raises(UserError, match=f"^{path}: {name} leads outside"),
            open_archive(path) as archive,
        ):
            archive.names()


def one_line(path: Path, *words: str) -> None:
    with pytest.raises(UserError) as caught, open_archive(path) as archive:
        for name in archive.names():
            archive.read(name)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    assert "; " in message
    for word in words:
        assert word in message


@pytest.mark.parametrize("kind", ["stored.zip", "deflated.zip", "packed.tar.gz"])
@pytest.mark.parametrize("part", [0.1, 0.5, 0.999])
def test_truncated_zip_and_compressed_tar(kind, part, tmp_path):
    path = write(kind, tmp_path, content())
    raw = path.read_bytes()
    path.write_bytes(raw[: int(len(raw) * part)])
    one_line(path, "truncated or damaged", "fetch it again")


def test_tar_truncated_anywhere(tmp_path):
    """Also at the end of a member, where tarfile itself sees nothing wrong."""
    path = write("plain.tar", tmp_path, {"a": bytes(range(200)), "b": b"2" * 700})
    raw = path.read_bytes()
    end = 512 + (512 + 512) + (512 + 1024)  # folder, a, b
    assert raw[end:].strip(b"\0") == b""
    for size in [*range(512, end + 1, 128), end + 100]:
        path.write_bytes(raw[:size])
        one_line(path, "truncated or damaged tar")
    path.write_bytes(raw[: end + 512])
    with open_archive(path) as archive:
        assert archive.read("b") == b"2" * 700


def test_damaged_header_inside_a_tar(tmp_path):
    path = write("plain.tar", tmp_path, {"a": b"1" * 512, "b": b"2", "c": b"3"})
    raw = bytearray(path.read_bytes())
    raw[512 + 1024 + 20] ^= 255  # in the header of b, which ends a careless reading
    path.write_bytes(raw)
    one_line(path, "truncated or damaged tar")


def test_damaged_member_of_a_zip_is_named(tmp_path):
    path = write("stored.zip", tmp_path, content())
    raw = bytearray(path.read_bytes())
    start = raw.index(content()["a/007.bin"])
    raw[start + 10] ^= 255
    path.write_bytes(raw)
    with open_archive(path) as archive:
        assert archive.read("a/006.bin") == content()["a/006.bin"]
        with pytest.raises(UserError, match=r"a/007\.bin.*fetch it again"):
            archive.read("a/007.bin")


def test_no_archive_at_all(tmp_path):
    one_line(tmp_path / "absent.zip", "is not there")
    page = tmp_path / "page.zip"
    page.write_text("<!DOCTYPE html><html>Not here</html>" * 50)
    one_line(page, "is not a zip, tar or folder")
    empty = tmp_path / "empty.tar"
    empty.touch()
    one_line(empty, "is not a zip, tar or folder")
    other = tmp_path / "text.gz"
    other.write_bytes(gzip.compress(b"no tar " * 500))
    one_line(other, "truncated or damaged tar")


@pytest.mark.parametrize(
    ("start", "name"),
    [
        (b"7z\xbc\xaf\x27\x1c\0\4", "a 7z archive"),
        (b"Rar!\x1a\x07\x01\0", "a RAR archive"),
        (b"\x28\xb5\x2f\xfd\x24", "packed by Zstandard"),
    ],
)
def test_archives_of_other_kinds_are_named_and_not_called_damaged(
    start, name, tmp_path
):
    path = tmp_path / "x.zip"
    path.write_bytes(start + bytes(2000))
    with pytest.raises(UserError) as caught:
        open_archive(path)
    message = f"{path}: is {name}, which cannot be read here; unpack it and give the f"
    assert str(caught.value).startswith(message)


def test_no_room_for_a_compressed_tar(tmp_path, monkeypatch):
    path = write("packed.tar.gz", tmp_path, content())

    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("mlrpl.archives.tar.shutil.copyfileobj", full)
    with pytest.raises(UserError, match=f"^{path}: cannot be unpacked, .*; set TMPDIR"):
        open_archive(path).names()


def test_content_decides_not_the_name(tmp_path):
    path = write("stored.zip", tmp_path, content())
    renamed = path.rename(tmp_path / "images.dat")
    with open_archive(renamed) as archive:
        assert archive.read("ä b.txt").decode() == "grün"


def test_folder_follows_links_once(tmp_path):
    files = content()
    real = write("folder", tmp_path, files)
    linked = tmp_path / "linked"
    linked.mkdir()
    (linked / "inside").symlink_to(real)
    (real / "up").symlink_to(linked)
    with open_archive(linked) as archive:
        assert set(archive.names()) == {f"inside/{name}" for name in files}
        assert archive.read("inside/a/003.bin") == files["a/003.bin"]


def test_links_in_a_tar_are_no_files(tmp_path):
    path = tmp_path / "links.tar"
    with tarfile.open(path, "w") as tar:
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/hostname"
        tar.addfile(link)
        info = tarfile.TarInfo("file")
        info.size = 3
        tar.addfile(info, io.BytesIO(b"abc"))
    with open_archive(path) as archive:
        assert archive.names() == ("file",)


def test_no_file_stays_open(tmp_path):
    def count() -> int:
        return len(os.listdir("/proc/self/fd"))

    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("no /proc on this system to count open files")
    paths = [write(kind, tmp_path, content()) for kind in KINDS]
    before = count()
    for path in paths:
        with open_archive(path) as archive:
            archive.read("a/003.bin")
    assert count() == before


def test_real_archives(photos):
    """Random access to real photographs gives JPEGs, whichever archive."""
    for path in (
        photos / "coco18/images.zip",
        photos / "coco-mini/val2014.zip",
        photos / "voc-mini/VOCtest_06-Nov-2007.tar",
    ):
        with open_archive(path) as archive:
            names = [name for name in archive.names() if name.endswith(".jpg")]
            assert len(names) >= 40
            for name in names[::-1][:: len(names) // 20]:
                data = archive.read(name)
                assert data[:2] == b"\xff\xd8"
                assert data[-2:] == b"\xff\xd9"
