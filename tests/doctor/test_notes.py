"""What the doctor says and what stops no run: shared memory, shared pictures."""

from pathlib import Path

import numpy as np
import pytest

from mlrpl.data.index import Index
from mlrpl.doctor.findings import examine
from mlrpl.doctor.machine import look
from support.doctor import GB, in_one_line, load, machine, shown, small

MB = 10**6
# Two batches of 64 images of 448 px for each of eight processes.
NEEDED = 2 * 8 * 64 * 3 * 448 * 448


@pytest.mark.parametrize("free", [64 * MB, NEEDED - 1])
def test_little_shared_memory_is_a_note_and_no_fault(free):
    findings = examine(load(small()), machine(shared_memory=free))
    [note] = findings.notes
    assert note.startswith(f"/dev/shm has {free / MB:,.0f} MB free, and the batches ")
    assert "take up to 617 MB: the rest goes through pipes" in note
    assert f"note {note}" in in_one_line(shown(findings))


def test_enough_shared_memory_is_not_spoken_of():
    config = load(small())
    for free in (None, NEEDED, 8 * GB):
        assert examine(config, machine(shared_memory=free)).notes == []
    config["threads"]["features"] = 1  # which decodes in the process itself
    assert examine(config, machine(shared_memory=0)).notes == []
    config["threads"]["features"] = 4
    config["encoder"]["views"] = ["full", "flip"]
    assert len(examine(config, machine(shared_memory=NEEDED - 1)).notes) == 1


def test_this_machines_shared_memory_is_looked_at():
    free = look().shared_memory
    assert free is None if not Path("/dev/shm").is_dir() else free >= 0


def test_images_in_both_splits_are_told_from_the_indexes():
    config = load(small())
    names = {"train": ("a.jpg", "b.jpg", "c.jpg"), "test": ("d.jpg", "b.jpg")}
    for split, images in names.items():
        labels = np.ones((len(images), 2), np.int8)
        index = Index("voc2007", split, ("cat", "dog"), images, labels)
        index.save(f"results/data/voc2007/{split}.h5")
    assert examine(config, machine()).notes == []  # of two archives
    splits = config["datasets"]["voc2007"]["splits"]
    splits["test"]["images"] = splits["train"]["images"]
    assert examine(config, machine()).notes == [
        "voc2007: 1 of 2 test images are training images, too (b.jpg); a test on them "
        "says little"
    ]
