"""What jobs ask of a cluster: against measured peaks, the rules and the trainings."""

import json
import re
import subprocess
import sys

import pytest

from mlrpl.config import plan
from mlrpl.doctor import jobs, memory_needs
from mlrpl.doctor.findings import examine
from mlrpl.doctor.work import find_sizes, find_work
from mlrpl.runtime.memory import place
from support import tiny
from support.doctor import GB, card, in_one_line, load, machine, shown
from support.trainings import arguments
from support.workflow_tree import copy_tree, snakemake

MB = 10**6


def test_what_a_method_reads_is_what_the_method_says():
    config = load()
    work = find_work(config, cuda=False)
    found = find_sizes(config, work.datasets)
    runs = {run.split("/")[1]: run for run in work.runs}
    for extra in ("coop+head=linear", "coop+feature=map_mean+head=linear"):
        runs[extra] = f"coco2014/{extra}"
    seen = set()
    for method, run in runs.items():
        said = jobs.reads(plan.method_options(config, method))
        assert said == found.count(config, run).reads, method
        seen.add(said)
    assert seen == {"map", "global", "max"}


def test_a_training_fits_into_what_it_asks_for(tmp_path, repository):
    """The process of a training on tiny files, as it measured itself."""
    files = tiny.write_files(tmp_path / "files")
    command = [sys.executable, "-m", "mlrpl", *arguments(files, tmp_path / "run")]
    environment = {"PYTHONPATH": str(repository / "workflow"), "PATH": ""}
    subprocess.run(command, env=environment, check=True, capture_output=True)
    peak = json.loads((tmp_path / "run/run.json").read_text())["memory"]["host"]
    asked = jobs.Jobs(load()).ask("train", {"method": "sarl"}, {})
    assert peak < asked.mem_mb * MB
    # What the doctor takes for a process without features is of the order of what it
    # was; how much of the libraries is resident differs between machines.
    assert 0.3 * memory_needs.PROCESS_BYTES < peak < 3 * memory_needs.PROCESS_BYTES


@pytest.mark.parametrize("device", ["cpu", "auto"])
def test_a_training_asks_for_all_of_its_features_and_more(device):
    config = load({"device": device, "threads": {"train": 8}})
    findings = examine(config, machine(gpu=card(8 * GB)))
    [asked] = [need.ask for need in findings.jobs if need.rule == "train"]
    assert findings.memory.host < asked.mem_mb * MB < 1.6 * findings.memory.host


@pytest.mark.parametrize(("training", "testing"), [(16500, 8000), (10, 900), (50, 50)])
def test_both_splits_are_kept_in_the_memory_asked_for(training, testing):
    """By the rule that a training places them by, with and without one megabyte."""
    whole = jobs.kept_in_memory(training, testing)
    for limit, expected in ((whole + 1, True), (whole - 1, False)):
        first = place(training * MB, None, limit * MB)
        second = place(testing * MB, None, (limit - training) * MB)
        assert ([first, second] == ["host", "host"]) == expected


def test_a_method_that_reads_the_image_feature_asks_for_little():
    inputs = {"train_features": 16_900, "test_features": 8_300}
    asking = jobs.Jobs(load())
    whole = asking.ask("train", {"method": "sarl"}, inputs).mem_mb
    little = asking.ask("train", {"method": "coop"}, inputs).mem_mb
    share = 512 / (7 * 7 * 2048)
    assert little - jobs.LARGE_MB == pytest.approx(
        share * (whole - jobs.LARGE_MB), abs=2
    )


def test_every_rule_with_a_command_says_what_it_takes(repository):
    seen = set()
    for path in sorted((repository / "workflow/rules").glob("*.smk")):
        for block in re.split(r"^(?=(?:use )?rule )", path.read_text(), flags=re.M):
            name = re.match(r"rule (\w+):", block)
            if name and "    shell:" in block:
                assert f'**takes("{name[1]}")' in block, name[1]
                seen.add(name[1])
    assert {"train", "features", "download"} <= seen
    assert set(jobs.DIFFERS) <= seen


def test_each_attempt_asks_for_more_up_to_a_day():
    asking = jobs.Jobs(load())
    inputs = {"train_features": 20_000, "index": 10}
    asks = [asking.ask("train", {"method": "sarl"}, inputs, 4, n) for n in (1, 2, 3)]
    assert [a.mem_mb for a in asks] == [asks[0].mem_mb * n for n in (1, 2, 3)]
    assert [a.runtime for a in asks] == [asks[0].runtime * n for n in (1, 2, 3)]
    slow = jobs.Jobs(load({"device": "cpu"}))
    long = [slow.ask("train", {"method": "sarl"}, inputs, 4, n) for n in (1, 2)]
    assert [a.runtime for a in long] == [jobs.MOST_MINUTES] * 2
    # Features beyond any node's memory stay on the disk.
    huge = asking.ask("train", {"method": "sarl"}, {"train_features": 2_000_000})
    assert huge.mem_mb == jobs.LARGE_MB + jobs.MOST_FEATURES_MB


def test_a_shard_of_features_by_hand():
    asked = jobs.Jobs(load()).ask(
        "features", {"dataset": "coco2014", "split": "train"}, {}, threads=8
    )
    images = -(-82081 // 16)
    assert asked.disk_mb == 1000 + round(1.1 * images * 205_824 / 1e6)
    # Two batches of 64 pictures of 448 px for each of 8 processes, three tensors of the
    # stem in fp32; libraries and weights besides.
    pictures = 2 * 8 * 64 * 448 * 448 * 3
    stem = 3 * 64 * 64 * 224 * 224 * 4
    assert asked.mem_mb == 4000 + round((pictures + stem) / 1e6)


def test_the_doctor_says_it():
    text = in_one_line(shown(examine(load(), machine())))
    found = re.search(r"cluster jobs ask for at most: train (\S+) GB and", text)
    [need] = [n for n in examine(load(), machine()).jobs if n.rule == "train"]
    assert float(found[1]) == round(need.ask.mem_mb / 1000, 1)
    assert "features 7." in text and "(coco2014/" in text


def test_the_rules_ask_for_it(repository, tmp_path):
    """A plan prints the numbers of jobs whose inputs are there; a limit lowers them."""
    folder = copy_tree(repository, tmp_path / "tree")
    index = folder / "results/data/coco2014/train.h5"
    index.parent.mkdir(parents=True)
    index.write_bytes(bytes(7 * MB))
    mask = "results/data/coco2014/known/prop=0.5/seed=0.npy"
    plan = ("-n", mask, "--allowed-rules", "drop", "--cores", "1")
    asked = jobs.Jobs(load()).ask("drop", {}, {"index": 7})
    text = snakemake(folder, *plan).stdout
    assert f"mem_mb={asked.mem_mb}," in text and f"runtime={asked.runtime}" in text
    text = snakemake(folder, *plan, "--resources", "mem_mb=2500").stdout
    assert "mem_mb=2500," in text
