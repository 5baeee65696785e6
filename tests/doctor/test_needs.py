"""Disk, memory and time, on machines passed in as numbers."""

import json

import pytest

from mlrpl.config import plan
from mlrpl.doctor import memory_needs, rates, trainings
from mlrpl.doctor.findings import examine
from mlrpl.doctor.work import find_sizes
from support.doctor import (
    GB,
    card,
    faults,
    in_one_line,
    load,
    machine,
    shown,
    small,
    write,
)


def test_too_little_disk_is_not_ready():
    whole = examine(load(), machine()).disks[0].bytes
    assert not faults(examine(load(), machine(free=whole)))
    [fault] = faults(examine(load(), machine(free=whole - 2 * GB)))
    assert fault.startswith("disk of data, ") and "free 2.0 GB" in fault


def test_two_disks_are_two_sums():
    def file_system(folder):
        return ("big", 30 * GB) if folder == "data" else ("other", 65 * GB)

    findings = examine(load(), machine(file_system=file_system))
    assert not faults(findings)
    assert [[n.what for n in disk.needs] for disk in findings.disks] == [
        ["downloads"],
        ["weights", "features", "labels", "runs"],
    ]
    # On one disk of either size they would not fit.
    assert faults(examine(load(), machine(free=65 * GB)))


def test_features_and_runs_that_are_there_are_not_counted_again():
    write("results/features/voc2007/train/0.h5", b"")
    config = load(small())
    needed = {n.what: n.bytes for n in examine(config, machine()).disks[0].needs}
    image = 2 * (49 * 2048 + 2048 + 512)
    assert needed["features"] == round(5011 / 2 * image) + 4952 * image


def test_tokens_are_planned_where_a_run_reads_them_and_only_there():
    image, tokens = 2 * (49 * 2048 + 2048 + 512), 2 * 196 * 512
    for methods, expected in (
        (["sarl"], image),
        (["dualcoop"], tokens),
        (["sarl", "dualcoop", "tai_dpt"], image + tokens),
    ):
        changes = small()
        changes["experiments"]["table2"]["methods"] = methods
        findings = examine(load(changes), machine())
        needed = {n.what: n.bytes for n in findings.disks[0].needs}
        assert needed["features"] == (5011 + 4952) * expected
        assert findings.time.images == (5011 + 4952) * (1 + (len(methods) > 1))
    assert findings.memory.features == 2 * 196 * 512 * (5011 + 4952)


def test_further_views_are_those_of_training_images():
    image = 2 * (49 * 2048 + 2048 + 512)
    config = load(small())
    config["encoder"]["views"] = ["full", "flip", "crop_center"]
    findings = examine(config, machine())
    needed = {n.what: n.bytes for n in findings.disks[0].needs}
    assert needed["features"] == (3 * 5011 + 4952) * image
    assert findings.time.images == 3 * 5011 + 4952
    plain = examine(load(small()), machine())
    asked, before = (
        next(j.ask for j in found.jobs if j.rule == "train")
        for found in (findings, plain)
    )
    more = asked.mem_mb - before.mem_mb
    assert more == pytest.approx(2 * 5011 * image / 1e6, rel=0.2)


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
    assert not faults(findings)
    said = "of it read from the disk each epoch" in in_one_line(shown(findings))
    assert said == bool(on_disk)


def test_too_little_memory_is_not_ready():
    config = load({"device": "cpu", "threads": {"train": 4}})
    [fault] = faults(examine(config, machine(memory=24 * GB)))
    assert fault.startswith("memory: 2 trainings at once take 52.")
    [fault] = faults(examine(load(), machine(memory=GB // 2)))
    assert fault.startswith("memory: coco2014/ssgrl/prop=0.1/seed=0 takes ")


def test_memory_of_trainings_at_once_adds_up():
    only = {name: {"systems": None} for name in ("table2", "table3")}
    config = load({"device": "cpu", "threads": {"train": 4}, "experiments": only})
    memory = examine(config, machine()).memory
    assert memory.at_once == 2
    features = 200704 * (82081 + 40137)
    step = memory.host / 2 - features - memory_needs.PROCESS_BYTES
    # RN101's text blocks in fp32, and the activations of 80 prompts of 22 tokens, the
    # first of which they share; the visual module, its gradient and momentum; the maps
    # of a batch and Eq. 3's factors and means.
    tower = 4 * 12 * (12 * 512**2 + 9 * (1 + 80 * 21) * 512)
    visual = 3 * 4 * 4_635_137
    visual += 4 * 64 * (49 * (2048 + 1024) + 80 * (1024 + 3 * 512))
    assert step == pytest.approx(tower + visual, rel=0.1)
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
    assert memory.card == on_card + memory_needs.CARD_BYTES


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
    chosen = {**plan.method_options(config, method), **options}
    took = {"load": 0.0, "train": seconds}
    text = json.dumps({"options": chosen, "seconds": took, "device": "cpu"})
    write(f"results/runs/{run}/run.json", text.encode())


def test_a_method_that_reads_the_maximum_takes_its_bytes():
    overlay = small()
    overlay["experiments"]["table2"]["methods"] = ["gcn_ml"]
    memory = examine(load(overlay), machine()).memory
    assert memory.features == 2 * 2048 * (5011 + 4952)
    # Two matrices with Adam's or SGD's numbers beside them are small.
    assert memory.host < memory_needs.PROCESS_BYTES + memory.features + 10**8


def test_what_adam_keeps_of_a_parameter_is_counted():
    config = load(small())
    found = find_sizes(config, ["voc2007"])
    count = found.count(config, "voc2007/ssgrl/prop=0.5/seed=0")
    step = trainings.training_bytes({"optimizer": "adam"}, count)
    assert step == count.state + count.kept + 4 * 3 * 14_602_261


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
    assert time.encode == pytest.approx(images / rates.DECODE / 8)
    on_cores = examine(load(), machine()).time.encode
    assert on_cores > images * 2 * 36e9 / (8 * rates.ENCODE["cpu"])


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
