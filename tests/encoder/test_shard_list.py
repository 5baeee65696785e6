"""The list of a split's feature files: what it says, and of which files it is not."""

import json
import os
from pathlib import Path

import pytest

from mlrpl.doctor import jobs
from mlrpl.encoder import shard_list
from mlrpl.errors import UserError


@pytest.fixture
def listed(tmp_path):
    for number in range(11):
        (tmp_path / f"{number}.h5").write_bytes(b"x" * number)
    shard_list.write(tmp_path / "shards.json", 11)
    return str(tmp_path / "shards.json")


def test_a_list_stands_for_its_shards_in_their_order(listed, tmp_path):
    shards = [str(tmp_path / f"{number}.h5") for number in range(11)]
    assert shard_list.expand([listed]) == shards
    assert shard_list.expand(["a.h5", listed]) == ["a.h5", *shards]


def test_a_shard_with_other_bytes_is_another_list(listed, tmp_path):
    before = Path(listed).read_text()
    os.utime(tmp_path / "3.h5", (1, 1))
    shard_list.write(listed, 11)
    assert Path(listed).read_text() == before
    (tmp_path / "3.h5").write_bytes(b"yyy")
    shard_list.write(listed, 11)
    assert Path(listed).read_text() != before


def test_a_large_shard_is_known_by_its_time(listed, tmp_path, monkeypatch):
    monkeypatch.setattr(shard_list, "HASHED_BYTES", 2)
    shard_list.write(listed, 11)
    before = json.loads(Path(listed).read_text())["shards"]
    for number in (2, 3):
        os.utime(tmp_path / f"{number}.h5", (1, 1))
    shard_list.write(listed, 11)
    after = json.loads(Path(listed).read_text())["shards"]
    assert [n for n in range(11) if before[n] != after[n]] == [3]


def test_shards_that_changed_or_went_are_one_line(listed, tmp_path):
    (tmp_path / "4.h5").write_bytes(b"")
    with pytest.raises(UserError, match=r"4\.h5: has 0 bytes, not 4, though"):
        shard_list.expand([listed])
    (tmp_path / "4.h5").unlink()
    with pytest.raises(UserError, match=r"4\.h5: is missing, though shards\.json"):
        shard_list.expand([listed])


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"shards": [1]}', '{"shards": 1}'])
def test_what_is_no_list_is_one_line(tmp_path, text):
    (tmp_path / "shards.json").write_text(text)
    with pytest.raises(UserError, match=r"shards\.json: is no list of feature files"):
        shard_list.expand([str(tmp_path / "shards.json")])


def test_a_job_asks_for_the_memory_of_the_shards(listed, tmp_path):
    bytes_of_all = sum(range(11))
    assert jobs.files_mb([listed]) == bytes_of_all / 1e6
    # Where the files are given too, each counts once.
    files = [listed, *shard_list.expand([listed])]
    size = os.path.getsize(listed)
    assert jobs.files_mb(files) == pytest.approx((bytes_of_all + size) / 1e6)
    with pytest.raises(FileNotFoundError):
        jobs.files_mb([str(tmp_path / "none" / "shards.json")])
