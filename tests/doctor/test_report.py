"""`mlrpl doctor`: the paper's experiment and the demo, on machines made up."""

import re
from pathlib import Path

from mlrpl.config import ablations
from mlrpl.config import files as config_files
from mlrpl.config.validation import validate
from mlrpl.doctor import sizes
from mlrpl.doctor.findings import examine
from support.doctor import GB, card, in_one_line, load, machine, shown, small


def load_demo() -> dict:
    return validate(config_files.load_config(["profiles/demo/config.yaml"]))


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
    # The map, its maximum and the image feature.
    assert written["features"] == images * 2 * (7 * 7 * 2048 + 2048 + 512)
    assert disk.bytes == sum(written.values())
    text = in_one_line(shown(findings))
    assert "to download 13.5 GB data/coco2014/train2014.zip" in text
    assert "coco2014 82,081 + 40,137 as published" in text
    assert "downloads 23.5 GB" in text and "features 27.2 GB" in text
    assert "200,704 bytes" in text
    assert not findings.faults


def test_paper_counts_the_trainings_of_the_workflow():
    work = examine(load(), machine()).work
    # Data sets x methods x proportions x seeds, by hand.
    assert work.by_experiment == {
        "table2": 2 * (1 + 7) * 9 * 3,
        "table3": 2 * (1 + 7) * 9 * 3,
        "table4": 2 * 4 * 5 * 1,
        "figure3": 2 * 1 * 1 * 1,
        "localisation": 2 * 3 * 3 * 1,
        "figure4": 2 * 2 * 9 * 1,
        "figure5": 2 * 2 * 1 * 1,
        "figure6": 2 * 2 * 1 * 1,
        "figure9": 2 * 1 * 1 * 1,
        "figure7": 2 * 2 * 9 * 1,
        "figure8": 9 * 2 * 1,  # gamma+ = 1 and gamma- = 2 are one run, sarl
    }
    # Tables 2 and 3; what Table 4 has besides sarl; Figures 4 and 7, one method each
    # besides sarl; Figure 8, eight besides sarl; the rest are among these.
    assert len(work.runs) == 2 * 8 * 9 * 3 + 2 * 3 * 5 + 2 * (2 * 9) + 8 * 2
    assert len(set(work.runs)) == len(work.runs) == len(work.to_do)


def test_ablations_are_counted_where_the_config_names_them():
    plain = examine(load(), machine()).work
    chosen = examine(load({"ablations": ["pooled", "transfer"]}), machine()).work
    # data sets x methods x proportions; besides `sarl`, which the tables have
    assert chosen.by_experiment["ablation pooled"] == 2 * 3 * 3
    assert chosen.by_experiment["ablation transfer"] == 2 * 5 * 5
    assert len(chosen.runs) - len(plain.runs) == 2 * 2 * 3 + 2 * 4 * 5
    assert "rates not measured here" in in_one_line(shown(examine(load(), machine())))


def test_an_ablation_that_cannot_be_counted_is_said(monkeypatch, tmp_path):
    text = (
        "use rule table_ablation as ablation_odd with:\n    input: **ablation(x=Y),\n"
    )
    (tmp_path / "odd.smk").write_text(text)
    monkeypatch.setattr(ablations, "FOLDER", tmp_path)
    monkeypatch.setattr(ablations, "chosen", lambda config: config["ablations"])
    text = shown(examine(load({"ablations": ["odd"]}), machine(gpu=card(80 * GB))))
    assert "its runs cannot be counted without Snakemake" in in_one_line(text)


def test_years_are_not_ready():
    text = shown(examine(load(), machine()))
    [fault] = [line for line in text.splitlines() if line.startswith("! time: ")]
    assert re.search(
        r"about [\d.]+ years on this machine; run it where a GPU is", fault
    )
    assert text.endswith("not ready: 1 thing")
    assert shown(examine(load(), machine(gpu=card(80 * GB)))).endswith("\nready")


def test_demo_needs_no_download_and_is_ready():
    findings = examine(load_demo(), machine())
    states = {Path(file.path).name: file.state for file in findings.files}
    weights = states.pop("demo-rn.safetensors")
    assert weights == "there"
    assert set(states.values()) == {"made"} and len(states) == 6
    # As the paper's with two seeds; of the systems three proportions and one seed.
    paper = 2 * 9 * 2 + 2 * 7 * 3 + 2 * 3 * 5 + 36 + 16
    assert len(findings.work.runs) == paper + 2 * 2 * 3
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
