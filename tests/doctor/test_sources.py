"""The doctor's sources: what is there, what is wrong, what goes on."""

import hashlib
import re

import pytest

from mlrpl.doctor import sources
from mlrpl.doctor.findings import examine
from support.doctor import (
    archive,
    in_one_line,
    load,
    machine,
    shown,
    small,
    voc_members,
    write,
)


def test_a_root_without_its_file_is_not_ready():
    trainval = archive("disk/VOCtrainval_06-Nov-2007.tar", **voc_members("trainval"))
    size = trainval.stat().st_size
    config = load(small(datasets={"voc2007": {"root": "disk"}}))
    findings = examine(config, machine())
    assert findings.faults == [
        "disk/VOCtest_06-Nov-2007.tar: is not there, although datasets.voc2007.root "
        "says so; put it there, or set datasets.voc2007.root to null to download it"
    ]
    text = shown(findings)
    assert re.search(r"^  MISSING +451 MB  disk/VOCtest", text, re.MULTILINE)
    assert re.search(
        rf"^  there +{size} B  \S*/VOCtrainval\S* \(size differs", text, re.MULTILINE
    )
    assert findings.disks[0].needs[0].bytes == 2176768927, "GloVe alone is downloaded"


def test_a_root_that_is_not_there_is_one_fault():
    config = load(small(datasets={"voc2007": {"root": "no/disk"}}))
    [fault] = examine(config, machine()).faults
    assert fault.startswith("no/disk: is not there, although datasets.voc2007.root")


def test_an_unpacked_root_is_there():
    write("disk/VOC2007/JPEGImages/000001.jpg", b"image")
    for name, text in voc_members("trainval", "test").items():
        write(f"disk/{name.removeprefix('VOCdevkit/')}", text.encode())
    config = load(small(datasets={"voc2007": {"root": "disk"}}))
    findings = examine(config, machine(), hashes=True)
    [folder] = [file for file in findings.files if file.owner == "voc2007"]
    assert (folder.path, folder.state) == ("disk", "there") and not findings.faults


DATA = b"a small archive"


def hashed(**known) -> dict:
    """An overlay whose GloVe is a small file that is downloaded."""
    url = ["http://example.org/v.txt"]
    glove = {"file": "v.txt", "member": None, "url": url, "size": len(DATA)}
    glove["sha256"] = known.pop("sha256", hashlib.sha256(DATA).hexdigest())
    return small(glove={**glove, **known})


def glove_of(findings) -> sources.Source:
    return next(file for file in findings.files if file.owner == "glove")


def test_hashes_are_compared_on_request():
    config = load(hashed())
    write("data/glove/v.txt", DATA)
    assert glove_of(examine(config, machine())).note == ""
    found = glove_of(examine(config, machine(), hashes=True))
    assert (found.state, found.note, found.size) == ("there", "hash right", len(DATA))


def test_a_wrong_hash_is_not_ready():
    config = load(hashed())
    other = DATA.replace(b"small", b"SMALL")
    write("data/glove/v.txt", other)
    assert not examine(config, machine()).faults, "not read without --hashes"
    findings = examine(config, machine(), hashes=True)
    assert findings.faults == [
        f"data/glove/v.txt: has sha256 {hashlib.sha256(other).hexdigest()}, not "
        f"{hashlib.sha256(DATA).hexdigest()}; delete it and the workflow fetches it "
        "again"
    ]
    assert re.search(r"^  WRONG .* data/glove/v.txt", shown(findings), re.MULTILINE)


def test_a_wrong_size_of_a_download_is_not_ready():
    write("data/glove/v.txt", DATA)
    [fault] = examine(load(hashed(size=99)), machine()).faults
    assert fault.startswith(f"data/glove/v.txt: has {len(DATA)} bytes, not 99; delete")
    # A file of the user's own below a root may be packed in another way.
    config = load(hashed(size=99, root="data/glove"))
    findings = examine(config, machine())
    assert not findings.faults
    assert glove_of(findings).note == "size differs: try --hashes"


def test_an_unfinished_download_goes_on():
    write("data/glove/v.txt.part", b"x" * 3_000_000)
    findings = examine(load(hashed(size=10_000_000)), machine())
    found = glove_of(findings)
    assert (found.state, found.at_hand, found.to_fetch) == (
        *("unfinished", 3_000_000),
        7_000_000,
    )
    line = (
        "unfinished 10.0 MB data/glove/v.txt (3.0 MB of it here, the download goes on)"
    )
    assert line in in_one_line(shown(findings)) and not findings.faults


def test_an_unfinished_download_without_a_hash_starts_again():
    write("data/voc2007/VOCtest_06-Nov-2007.tar.part", b"x" * 1000)
    known = {"url": ["http://example.org/v.tar"], "size": 5000, "sha256": "0" * 64}
    files = {"VOCtest_06-Nov-2007.tar": known}
    config = load(small(datasets={"voc2007": {"files": files}}))
    del config["datasets"]["voc2007"]["files"]["VOCtest_06-Nov-2007.tar"]["sha256"]
    [part] = [f for f in examine(config, machine()).files if f.state == "unfinished"]
    assert part.to_fetch == 5000 and "starts again" in part.note


def test_encoder_weights_in_the_hub_cache_are_there(tmp_path):
    folder = "models--timm--resnet101_clip.openai/snapshots/0123"
    write(f"{tmp_path}/hub/{folder}/open_clip_model.safetensors", b"weights")
    [found] = [f for f in examine(load(), machine()).files if f.owner == "encoder"]
    assert (found.state, found.size, found.to_fetch) == ("there", 7, 0)


@pytest.mark.parametrize(
    ("encoder", "line"),
    [
        ({"model": "RN101"}, "use RN101-quickgelu"),
        ({"model": "RN10"}, "open_clip has no model of this name"),
        ({"pretrained": "no/such.pt"}, "no/such.pt: there is no checkpoint"),
    ],
)
def test_an_encoder_that_cannot_be_loaded_is_not_ready(encoder, line):
    [fault] = examine(load(small(encoder=encoder)), machine()).faults
    assert line in fault
