"""HDF5 files that cannot be read, and what is then said; checksums of rows."""

import errno
import fcntl
import os
import re
import subprocess
import sys
import zlib

import h5py
import numpy as np
import pytest

from mlrpl.errors import UserError
from mlrpl.runtime import hdf5

SAID = {"missing": "make it", "damaged": "is no set", "remedy": "make it again"}


def read(path):
    with hdf5.reading(path, **SAID) as file:
        return hdf5.array_of(file, "a")[()], hdf5.text_of(file, "t")


def fault(path) -> str:
    with pytest.raises(UserError) as error:
        read(path)
    message = str(error.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message.removeprefix(f"{path}: ")


@pytest.fixture
def path(tmp_path):
    with hdf5.writing(tmp_path / "new/set.h5") as file:
        file["a"] = np.arange(1000)
        file.attrs["t"] = "text"
    return tmp_path / "new/set.h5"


def test_a_file_is_read_that_another_program_locks(path):
    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        values, text = read(path)
    assert (values.sum(), text) == (499500, "text")


def test_where_locks_are_demanded_the_lock_is_named(path):
    program = f"""
import sys
sys.path = {sys.path}
from mlrpl.runtime import hdf5
with hdf5.reading({str(path)!r}, **{SAID!r}): pass
"""
    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        done = subprocess.run(
            [sys.executable, "-c", program],
            env=os.environ | {"HDF5_USE_FILE_LOCKING": "TRUE"},
            capture_output=True,
            text=True,
        )
    assert re.search(
        r"set\.h5: cannot be locked \(Resource temporarily unavailable\); end the "
        r"program that holds it, or set HDF5_USE_FILE_LOCKING=FALSE",
        done.stderr,
    )
    assert "delete" not in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    "number", [errno.EACCES, errno.EIO, errno.ESTALE, errno.ENOLCK, errno.EMFILE]
)
def test_what_the_system_refuses_is_no_damage(path, monkeypatch, number):
    def refuse(*args, **options):
        raise OSError(number, f"Unable to open file (open failed: errno = {number}, x)")

    monkeypatch.setattr(h5py, "File", refuse)
    said = fault(path)
    assert said.startswith(f"cannot be read ({os.strerror(number)}); ")
    assert "delete" not in said and "make" not in said


def test_no_file_a_folder_and_another_file_are_not_called_damaged(tmp_path):
    assert fault(tmp_path / "none.h5") == "is not there; make it"
    assert fault(tmp_path).startswith("is a folder")
    (tmp_path / "labels.csv").write_text("image,cat\n")
    said = fault(tmp_path / "labels.csv")
    assert said.startswith("is no set (") and said.endswith("; make it again")
    assert "delete" not in said


def test_a_cut_file_may_be_deleted(path):
    path.write_bytes(path.read_bytes()[:-500])
    assert fault(path).endswith("; delete it and make it again")


CONTENTS = {
    "no attribute": (lambda file: file.attrs.pop("t"), "'t'"),
    "number for a text": (lambda file: file.attrs.__setitem__("t", 3), "t is no text"),
    "list for a text": (lambda file: file.attrs.__setitem__("t", ["a"]), "t is no"),
    "no array": (lambda file: file.pop("a"), "'a'"),
    "group for an array": (
        lambda file: (file.pop("a"), file.create_group("a")),
        "no ar",
    ),
}


@pytest.mark.parametrize("name", CONTENTS)
def test_content_that_is_another_is_named(path, name):
    change, expected = CONTENTS[name]
    with h5py.File(path, "a") as file:
        change(file)
    said = fault(path)
    assert expected in said
    assert "delete" not in said


@pytest.mark.parametrize("value", [[1, 2], "1", np.nan, -1, 1.5, np.inf])
def test_a_number_is_one_number(tmp_path, value):
    with h5py.File(tmp_path / "n.h5", "w") as file:
        file.attrs["n"] = value
        with pytest.raises(TypeError, match="its attribute n is no"):
            hdf5.number_of(file, "n")
        file.attrs["n"] = np.float32(3)
        assert repr(hdf5.number_of(file, "n")) == "3"


def test_checksums_change_with_every_bit_and_place():
    rows = np.random.default_rng(0).standard_normal((3, 49, 96)).astype(np.float16)
    before = hdf5.checksums(rows)
    assert before.dtype == np.uint32
    assert len(set(before)) == 3
    flat = rows.reshape(3, -1).view(np.uint8)
    for place in (0, 1, 4095, 4096, flat.shape[1] - 1):
        for bit in (1, 128):
            flat[1, place] ^= bit
            assert (hdf5.checksums(rows) != before).tolist() == [False, True, False]
            flat[1, place] ^= bit
    assert (hdf5.checksums(rows) == before).all()
    assert (hdf5.checksums(rows[::-1]) == before[::-1]).all()


def test_checksums_tell_pages_that_changed_places():
    rows = np.arange(4096, dtype="<u2").reshape(1, 2, 2048)
    assert hdf5.checksums(rows)[0] != hdf5.checksums(rows[:, ::-1])[0]


def test_checksums_are_the_crc_of_the_sums_of_pages():
    row = np.arange(1024, dtype=np.float16).reshape(1, 1024)
    words = row.view("<u8").reshape(-1)
    total = sum(int(word) for word in words) % 2**64
    assert hdf5.checksums(row)[0] == zlib.crc32(total.to_bytes(8, "little"))
    odd = np.arange(3, dtype=np.float16).reshape(1, 3)
    assert hdf5.checksums(odd)[0] == zlib.crc32(odd.tobytes())
    assert hdf5.checksums(np.empty((0, 4), np.float16)).shape == (0,)
