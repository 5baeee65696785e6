"""`mlrpl doctor`: what it finds, counts and says, on machines passed in as numbers."""

import csv
import hashlib
import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml
from packaging.specifiers import SpecifierSet
from torch.utils.flop_counter import FlopCounterMode

from mlrpl.config import files as config_files
from mlrpl.__main__ import main
from mlrpl.config.validation import validate
from mlrpl.doctor import machine as machines
from mlrpl.doctor import needs, report, sizes, sources
from mlrpl.doctor.findings import examine, gigabytes
from mlrpl.errors import UserError

GB = 10**9
VERSIONS = dict.fromkeys(machines.ranges(), "999")
VERSIONS.update(
    python="3.12.1", open_clip_torch="3.3.0", snakemake="9.27.1", pooch="1.9.0"
)


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch, repository):
    """Work in a folder that holds the project's configuration and nothing else."""
    folder = tmp_path / "work"
    (folder / "workflow").mkdir(parents=True)
    (folder / "config.yaml").write_text((repository / "config.yaml").read_text())
    (folder / "profiles").symlink_to(repository / "profiles")
    (folder / "workflow/mlrpl").symlink_to(repository / "workflow/mlrpl")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    return folder


def machine(memory=64 * GB, gpu=None, free=500 * GB, **changes) -> machines.Machine:
    plain = machines.Machine(
        versions=VERSIONS,
        cores=8,
        memory=memory,
        available=memory,
        gpu=gpu,
        torch_fault=None,
        file_system=lambda folder: ("one disk", free),
    )
    return replace(plain, **changes)


def card(total: int) -> machines.Gpu:
    return machines.Gpu("A card", total, total)


def load(*overlays: dict) -> dict:
    files = []
    for number, overlay in enumerate(overlays):
        files.append(f"overlay{number}.yaml")
        Path(files[-1]).write_text(yaml.safe_dump(overlay))
    return validate(config_files.load(files))


def load_demo() -> dict:
    return validate(config_files.load(["profiles/demo/config.yaml"]))


def shown(findings) -> str:
    """Return the screen after checking what holds for every screen."""
    text = report.screen(findings, ["config.yaml"])
    lines = text.splitlines()
    faults = [line for line in lines if line.startswith("! ")]
    assert len(lines) <= 40
    assert all(len(line) <= 88 for line in lines if line not in faults)
    assert faults == [f"! {fault}" for fault in findings.faults]
    count = len(faults)
    words = f"not ready: {count} thing{'s' * (count > 1)}" if count else "ready"
    assert lines[-1] == words
    return text


def in_one_line(text: str) -> str:
    return " ".join(text.split())


def small(**changes) -> dict:
    """An overlay: VOC alone, one table of one training."""
    off = dict.fromkeys(("table3", "table4", "figure4", "figure7", "figure8"))
    table = {"methods": ["sarl"], "proportions": [0.5], "seeds": [0]}
    return {
        "datasets": {"coco2014": None, **changes.pop("datasets", {})},
        "experiments": {**off, "table2": table},
        **changes,
    }


# ------------------------------------------------------------- the paper's experiment


def test_paper_on_an_empty_folder_has_everything_to_download():
    findings = examine(load(), machine(gpu=card(80 * GB)))
    assert {file.state for file in findings.files} == {"download"}
    # As the host's headers and public download logs have them.
    archives = {
        "data/coco2014/train2014.zip": 13510573713,
        "data/coco2014/val2014.zip": 6645013297,
        "data/coco2014/annotations_trainval2014.zip": 252872794,
        "data/voc2007/VOCtrainval_06-Nov-2007.tar": 460032000,
        "data/voc2007/VOCtest_06-Nov-2007.tar": 451020800,
        "data/glove/glove.840B.300d.zip": 2176768927,
    }
    fetched = {f.path: f.to_fetch for f in findings.files if f.owner != "encoder"}
    assert fetched == archives
    [weights] = [file for file in findings.files if file.owner == "encoder"]
    assert weights.path == "RN101-quickgelu, openai" and weights.estimated
    [disk] = findings.disks
    written = {need.what: need.bytes for need in disk.needs}
    assert written["downloads"] == sum(archives.values())
    images = 82081 + 40137 + 5011 + 4952
    assert written["features"] == images * 2 * (7 * 7 * 2048 + 512)
    assert disk.bytes == sum(written.values())
    text = in_one_line(shown(findings))
    assert "to download 13.5 GB data/coco2014/train2014.zip" in text
    assert "coco2014 82,081 + 40,137 as published" in text
    assert "downloads 23.5 GB" in text and "features 26.7 GB" in text
    assert "200,704 bytes" in text
    assert not findings.faults


def test_paper_counts_the_trainings_of_the_workflow():
    work = examine(load(), machine()).work
    # Data sets x methods x proportions x seeds, by hand.
    assert work.by_experiment == {
        "table2": 2 * 1 * 9 * 3,
        "table3": 2 * 1 * 9 * 3,
        "table4": 2 * 4 * 5 * 1,
        "figure4": 2 * 2 * 9 * 1,
        "figure7": 2 * 2 * 9 * 1,
        "figure8": 9 * 2 * 1,  # gamma+ = 1 and gamma- = 2 are one run, sarl
    }
    # The workflow plans 148 (test_workflow_plan.py), 12 of them for pooled.smk alone.
    assert len(work.runs) == 148 - 12
    assert len(set(work.runs)) == len(work.runs) == len(work.to_do)


def test_screen_says_what_is_not_counted(repository):
    text = in_one_line(shown(examine(load(), machine())))
    files = sorted(p.stem for p in (repository / "workflow/ablations").glob("*.smk"))
    assert f"not counted: workflow/ablations ({', '.join(files)})" in text
    assert "rates not measured here" in text


# -------------------------------------------------------------------------- the demo


def test_demo_needs_no_download_and_is_ready():
    findings = examine(load_demo(), machine())
    states = {Path(file.path).name: file.state for file in findings.files}
    weights = states.pop("demo-rn.safetensors")
    assert weights == "there"
    assert set(states.values()) == {"made"} and len(states) == 6
    assert len(findings.work.runs) == 136
    assert findings.memory.at_once == 8, "device: cpu trains on every core"
    text = in_one_line(shown(findings))
    assert "demo_coco 700 + 350 at most; demo_voc 900 + 250 at most" in text
    assert "to download" not in text
    assert not findings.faults


def test_made_files_are_those_of_the_rule(repository):
    rule = (repository / "workflow/rules/demo.smk").read_text()
    outputs = re.findall(rf'"{sizes.MADE_FOLDER}/([^"]+)"', rule)
    assert sorted(outputs) == sorted(sizes.MADE)


def test_experiments_that_are_off_need_nothing():
    off = dict.fromkeys(load()["experiments"])
    findings = examine(load({"experiments": off}), machine(memory=GB, free=0))
    assert not findings.files and not findings.disks and not findings.faults
    assert "every experiment is switched off" in shown(findings)


def test_a_data_set_that_no_experiment_names_needs_nothing():
    only = {"experiments": {"table2": {"datasets": ["voc2007"]}}}
    overlay = small()
    overlay["datasets"] = {}
    config = load(overlay, only)
    assert set(config["datasets"]) == {"coco2014", "voc2007"}
    owners = {file.owner for file in examine(config, machine()).files}
    assert owners == {"voc2007", "glove", "encoder"}


# ---------------------------------------------------------------------------- files


def write(path: str, data: bytes) -> Path:
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    return file


def test_a_root_without_its_file_is_not_ready():
    write("disk/VOCtrainval_06-Nov-2007.tar", b"archive")
    config = load(small(datasets={"voc2007": {"root": "disk"}}))
    findings = examine(config, machine())
    assert findings.faults == [
        "disk/VOCtest_06-Nov-2007.tar: is not there, although datasets.voc2007.root "
        "says so; put it there, or set datasets.voc2007.root to null to download it"
    ]
    text = shown(findings)
    assert re.search(r"^  MISSING +451 MB  disk/VOCtest", text, re.MULTILINE)
    assert re.search(
        r"^  there +7 B  \S*/VOCtrainval\S* \(size differs", text, re.MULTILINE
    )
    assert findings.disks[0].needs[0].bytes == 2176768927, "GloVe alone is downloaded"


def test_a_root_that_is_not_there_is_one_fault():
    config = load(small(datasets={"voc2007": {"root": "no/disk"}}))
    [fault] = examine(config, machine()).faults
    assert fault.startswith("no/disk: is not there, although datasets.voc2007.root")


def test_an_unpacked_root_is_there():
    write("disk/VOC2007/JPEGImages/000001.jpg", b"image")
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
        ({"model": "RN10"}, "open_clip has none of this name"),
        ({"pretrained": "no/such.pt"}, "no/such.pt: no checkpoint is there"),
    ],
)
def test_an_encoder_that_cannot_be_loaded_is_not_ready(encoder, line):
    [fault] = examine(load(small(encoder=encoder)), machine()).faults
    assert line in fault


# ---------------------------------------------------------------- disk, memory, time


def test_too_little_disk_is_not_ready():
    whole = examine(load(), machine()).disks[0].bytes
    assert not examine(load(), machine(free=whole)).faults
    [fault] = examine(load(), machine(free=whole - 2 * GB)).faults
    assert fault.startswith("disk of data, ") and "free 2.0 GB" in fault


def test_two_disks_are_two_sums():
    def file_system(folder):
        return ("big", 30 * GB) if folder == "data" else ("other", 33 * GB)

    findings = examine(load(), machine(file_system=file_system))
    assert not findings.faults
    assert [[n.what for n in disk.needs] for disk in findings.disks] == [
        ["downloads"],
        ["weights", "features", "labels", "runs"],
    ]
    # On one disk of either size they would not fit.
    assert examine(load(), machine(free=33 * GB)).faults


def test_features_and_runs_that_are_there_are_not_counted_again():
    write("results/features/voc2007/train/0.h5", b"")
    config = load(small())
    needed = {n.what: n.bytes for n in examine(config, machine()).disks[0].needs}
    image = 2 * (49 * 2048 + 512)
    assert needed["features"] == round(5011 / 2 * image) + 4952 * image


@pytest.mark.parametrize(
    ("total", "on_disk"),
    [
        (64, 0),
        (26, 200704 * 40137),  # three quarters of what is left after the training maps
        (20, 200704 * 82081),
        (8, 200704 * (82081 + 40137)),
    ],
)
def test_features_that_memory_cannot_hold_stay_on_the_disk(total, on_disk):
    findings = examine(load(), machine(memory=total * GB))
    assert findings.memory.features == 200704 * (82081 + 40137)
    assert findings.memory.on_disk == on_disk
    assert findings.memory.host < total * GB
    assert not findings.faults
    said = "of it read from the disk each epoch" in in_one_line(shown(findings))
    assert said == bool(on_disk)


def test_too_little_memory_is_not_ready():
    config = load({"device": "cpu", "threads": {"train": 4}})
    [fault] = examine(config, machine(memory=24 * GB)).faults
    assert fault.startswith("memory: 2 trainings at once take 51.")
    [fault] = examine(load(), machine(memory=GB // 2)).faults
    assert fault.startswith("memory: coco2014/sarl/prop=0.1/seed=0 takes ")


def test_memory_of_trainings_at_once_adds_up():
    config = load({"device": "cpu", "threads": {"train": 4}})
    memory = examine(config, machine()).memory
    assert memory.at_once == 2
    one = 200704 * (82081 + 40137) + needs.PROCESS_BYTES
    # RN101's text blocks in fp32, and the activations of 80 prompts of 22 tokens, the
    # first of which they share.
    one += 4 * 12 * (12 * 512**2 + 9 * (1 + 80 * 21) * 512)
    assert memory.host == 2 * one
    # With a GPU, or when one is asked for in vain, one training runs at a time.
    assert examine(load(), machine()).memory.at_once == 1


@pytest.mark.parametrize(
    ("total", "on_card"),
    [
        (80, 200704 * (82081 + 40137)),
        (34, 200704 * (82081 + 40137)),  # each is at most half of what is free
        (32, 200704 * 40137),  # the training split is not
        (12, 0),
    ],
)
def test_features_go_onto_the_card_as_the_training_decides(total, on_card):
    memory = examine(load(), machine(gpu=card(total * GB))).memory
    assert memory.on_card == on_card
    assert memory.card == on_card + needs.CARD_BYTES


def test_a_small_card_is_not_ready():
    findings = examine(load(small()), machine(gpu=card(3 * GB)))
    [fault] = findings.faults
    assert fault.startswith("GPU memory: a job takes about ") and "A card" in fault
    assert "3.0 GB" in fault


def test_cuda_without_a_card_is_not_ready():
    faults = examine(load(small(device="cuda")), machine()).faults
    assert faults == ["device: cuda: no CUDA device is visible; use cpu or auto"]


def record(config, run: str, seconds: float, **options) -> None:
    method = run.split("/")[1]
    chosen = {**needs.plan.method_options(config, method), **options}
    took = {"load": 0.0, "train": seconds}
    text = json.dumps({"options": chosen, "seconds": took, "device": "cpu"})
    write(f"results/runs/{run}/run.json", text.encode())


def test_time_is_that_of_the_runs_that_are_there():
    config = load({"device": "cpu", "threads": {"train": 4}})
    work = examine(config, machine()).work
    same = [run for run in work.runs if run.startswith("voc2007/sarl/")]
    others = [run for run in work.runs if run not in same]
    for run in others:
        record(config, run, 7.0)
    record(config, same[0], 100.0)
    record(config, same[1], 300.0)
    findings = examine(config, machine())
    assert len(findings.work.seconds) == len(others) + 2
    # 25 of the 27 are left, of 200 seconds each, two at once on eight cores.
    assert findings.time.train == pytest.approx(25 * 200 / 2)
    assert findings.time.measured == len(others) + 2
    assert f"as the {len(others) + 2} that ran here" in in_one_line(shown(findings))


def test_decoding_limits_the_features_on_a_card():
    images = 82081 + 40137 + 5011 + 4952
    time = examine(load(), machine(gpu=card(80 * GB))).time
    assert time.images == images
    assert time.encode == pytest.approx(images / needs.DECODE_RATE / 8)
    on_cores = examine(load(), machine()).time.encode
    assert on_cores > images * 2 * 36e9 / (8 * needs.ENCODE_RATE["cpu"])


def test_runs_with_other_options_are_made_again():
    config = load(small())
    [run] = examine(config, machine()).work.runs
    record(config, run, 5.0, lr=0.5)
    work = examine(config, machine()).work
    assert work.changed == [run] and work.to_do == [run]
    record(config, run, 5.0)
    findings = examine(config, machine())
    assert not findings.work.to_do and findings.time.train == 0
    assert "no training is left" in shown(findings)


# ----------------------------------------------------------------------------- sizes


def test_an_own_data_set_is_counted_by_its_rows():
    rows = [["image", "split", "cat", "dog"], ["a", "train", 1, 0]]
    rows += [["b", "train", 1, ""], ["c", "test", 0, 1]]
    Path("mine").mkdir()
    with open("mine/l.csv", "w", newline="") as file:
        csv.writer(file).writerows(rows)
    write("mine/i.zip", b"PK")
    split = {"images": "i.zip", "labels": "l.csv"}
    both = {name: {**split, "select": name} for name in ("train", "test")}
    mine = {"format": "csv", "root": "mine", "splits": both}
    config = load(small(datasets={"voc2007": None, "mine": mine}))
    findings = examine(config, machine())
    assert findings.sizes.splits["mine"] == {
        "train": sizes.Split(2, 2, "labels"),
        "test": sizes.Split(1, 2, "labels"),
    }
    assert not findings.faults


def test_what_is_unknown_is_said():
    overlay = {"datasets": {"voc2007": {"root": "disk"}}}
    for name in ("VOCtrainval_06-Nov-2007.tar", "VOCtest_06-Nov-2007.tar"):
        write(f"disk/{name}", b"my own")
    config = load(small(**overlay))
    config["datasets"]["voc2007"]["files"] = {}
    findings = examine(config, machine())
    text = in_one_line(shown(findings))
    assert "voc2007 unknown until its index is made" in text
    assert "unknown: features of voc2007 train, voc2007 test; runs of voc2007" in text
    assert "features of unknown number of images unknown, 1 trainings unknown" in text


@pytest.mark.parametrize(
    ("model", "size"), [("RN50", 448), ("RN50", 301), ("ViT-B-32", 224)]
)
def test_feature_and_operations_are_those_of_the_tower(model, size):
    import open_clip

    from mlrpl.encoder.towers import make_tower

    config = load(small(encoder={"model": model, "image_size": size}))
    parts = open_clip.get_model_config(model)
    parts["vision_cfg"]["image_size"] = size
    with torch.device("meta"):
        visual = open_clip.CLIP(**parts).visual.eval()
        image = torch.empty(1, 3, size, size)
    with FlopCounterMode(display=False) as counter:
        if model == "RN50":  # what comes after the map is a hundredth
            out = visual.forward_intermediates(
                image, indices=1, intermediates_only=True
            )
            rows, columns = out["image_intermediates"][0].shape[2:]
            shape = ((rows // 2) * (columns // 2), visual.attnpool.v_proj.in_features)
        else:
            shape = tuple(make_tower(visual).encode(image).map.shape[1:])
    feature = sizes.feature_shape(config)
    assert (feature.locations, feature.channels) == shape
    counted = sizes.encode_operations(config)
    assert counted == pytest.approx(counter.get_total_flops(), rel=0.02)


@pytest.mark.parametrize(
    ("method", "printed"),
    [("sarl", 4.64), ("sarl+pooled=raw", 5.16), ("coop_csp", 0.66), ("coop", 0.01)],
)
def test_parameters_are_those_of_the_readme(method, printed):
    config = load()
    options = needs.plan.method_options(config, method)
    found = needs.find_sizes(config, ["coco2014"])
    count = sizes.parameters(options, found.feature, found.text, 80)
    assert round(count / 1e6, 2) == printed


def test_semantic_attention_has_the_parameters_of_its_module():
    from mlrpl.methods.visual import SemanticAttention

    config = load()
    options = needs.plan.method_options(config, "sarl+visual=semantic_attention")
    found = needs.find_sizes(config, ["coco2014"])
    module = SemanticAttention(2048, 80, options["joint_dim"], 512)
    ours = sizes.parameters(options, found.feature, found.text, 80)
    assert ours == sum(p.numel() for p in module.parameters()) + 80 * 16 * 512


def test_sizes_in_words():
    values = [0, 999_499, 999_500, 13510573713, 999_960_000_000]
    words = ["0 B", "999 kB", "1.0 MB", "13.5 GB", "1.0 TB"]
    assert [gigabytes(value) for value in values] == words
    assert [report.duration(s) for s in (5, 100, 9000, 86400 * 8, 86400 * 1000)] == [
        *("5 s", "2 min", "2.5 h", "8 days"),
        "2.7 years",
    ]


# ----------------------------------------------------------- versions, config, command


@pytest.mark.parametrize("version", ["3.0", "3.3.0", "4", "4.0.1", "2.9", "3.0.0rc1"])
def test_ranges_are_read_as_pip_reads_them(version):
    allowed = ">=3.0,<4"
    if version != "3.0.0rc1":  # a release candidate counts as its release here
        assert machines.in_range(version, allowed) == SpecifierSet(allowed).contains(
            version
        )


def test_a_missing_or_old_package_is_not_ready():
    versions = {**VERSIONS, "torch": None, "open_clip_torch": "2.30.0"}
    findings = examine(load(small()), machine(versions=versions))
    assert sorted(findings.faults) == [
        "open_clip_torch: is 2.30.0, not >=3.0,<4; install envs/requirements.txt",
        "torch: is not installed; install envs/requirements.txt",
    ]
    assert "torch missing" in shown(findings)


def test_without_torch_the_command_says_so(monkeypatch, capsys):
    version = machines.importlib.metadata.version

    def without_torch(name):
        if name == "torch":
            raise machines.importlib.metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(machines.importlib.metadata, "version", without_torch)
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "mlrpl.encoder.clip", raising=False)
    with pytest.raises(SystemExit, match="1"):
        main(["doctor", "--workflow-profile", "profiles/demo"])
    said = capsys.readouterr().out
    assert "! torch: is not installed" in said
    assert "not checked" in said and said.splitlines()[-1].startswith("not ready: ")


def test_overlays_merge_as_snakemake_merges_them(repository):
    from snakemake.common.configfile import load_configfile
    from snakemake.utils import update_config

    overlays = [
        {"datasets": {"voc2007": None, "coco2014": {"files": {"train2014.zip": None}}}},
        {"datasets": {"voc2007": {"root": "x"}}, "seeds": {"a": [1]}, "new": {}},
        {"datasets": {"coco2014": {"files": None}}, "seeds": [4]},
    ]
    expected = load_configfile("config.yaml")
    changes: dict = {}
    for number, overlay in enumerate(overlays):
        Path(f"{number}.yaml").write_text(yaml.safe_dump(overlay))
        update_config(changes, load_configfile(f"{number}.yaml"))
    update_config(expected, changes)
    found = config_files.load([f"{number}.yaml" for number in range(3)])
    assert found == expected


def test_values_go_over_files():
    config = config_files.load(values=["data_dir=/big/disk", "seeds=[3]"])
    assert (config["data_dir"], config["seeds"]) == ("/big/disk", [3])
    with pytest.raises(UserError, match="--config nothing: is no setting"):
        config_files.load(values=["nothing"])
    with pytest.raises(UserError, match=r"--config a=\[: is no YAML"):
        config_files.load(values=["a=["])


def test_a_config_mistake_is_the_workflows_line(capsys):
    Path("wrong.yaml").write_text("datasets: {voc2007: {formt: voc}}")
    assert main(["doctor", "--configfile", "wrong.yaml"]) == 1
    assert capsys.readouterr().err == (
        "mlrpl doctor: error: config key datasets.voc2007.formt: unknown key; did you "
        "mean format?\n"
    )


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("none.yaml", None, "none.yaml: cannot be read (No such file or directory); "),
        ("bad.yaml", "a: [", "bad.yaml: is no YAML ("),
        ("list.yaml", "- a", "list.yaml: has no keys at its top level"),
    ],
)
def test_a_config_file_that_is_none_is_one_line(name, text, line, capsys):
    if text is not None:
        Path(name).write_text(text)
    assert main(["doctor", "--configfile", name]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"mlrpl doctor: error: {line}") and said.count("\n") == 1


def test_the_command_on_this_machine(repository, capsys):
    """The demo is ready wherever the tests run; snakemake is not imported."""
    code = (
        "import sys; from mlrpl.__main__ import main; "
        "status = main(['doctor', '--profile', 'profiles/demo', '--cores', '1']); "
        "assert 'snakemake' not in sys.modules; sys.exit(status)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**machines.os.environ, "PYTHONPATH": str(repository / "workflow")},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("config      config.yaml + profiles/demo/config.yaml")
    assert done.stdout.splitlines()[-1] == "ready"


def test_a_missing_root_exits_with_1(capsys):
    overlay = small(datasets={"voc2007": {"root": "nowhere"}})
    Path("mine.yaml").write_text(yaml.safe_dump(overlay))
    with pytest.raises(SystemExit) as stopped:
        main(["doctor", "--configfile", "mine.yaml"])
    assert stopped.value.code == 1
    assert "\n! nowhere: is not there" in capsys.readouterr().out
