"""Resources of a rule's jobs, as Snakemake takes them."""

import inspect

import pytest

from mlrpl.doctor import jobs
from mlrpl.planning.resources import KEYS, takes


class Files(dict):
    """Snakemake's input files: named, or a list without names."""

    def __init__(self, *files, **named):
        super().__init__(named)
        self.files = files

    def __iter__(self):
        return iter(self.files)


@pytest.fixture
def asks(config):
    return jobs.Jobs(config)


def test_rules_without_large_inputs_have_plain_numbers(asks):
    plain = jobs.Ask()
    assert takes(asks, "table") == {key: getattr(plain, key) for key in KEYS}


def test_others_follow_their_inputs_and_the_attempt(asks, tmp_path):
    file = tmp_path / "index.h5"
    file.write_bytes(b"0" * 3_000_000)
    found = takes(asks, "drop")["mem_mb"]
    names = list(inspect.signature(found).parameters)
    assert names == ["wildcards", "input", "threads", "attempt"]
    for files in (Files(index=str(file)), Files(index=[str(file)]), Files(str(file))):
        plain = jobs.SMALL_MB + 3 * jobs.COPIES["drop"]
        assert [found({}, files, 1, n) for n in (1, 2)] == [plain, 2 * plain]


def test_of_a_file_that_is_still_to_be_made_nothing_is_known(asks, tmp_path):
    found = takes(asks, "drop")["mem_mb"]
    with pytest.raises(FileNotFoundError):
        found({}, Files(index=str(tmp_path / "none.h5")), 1, 1)
