"""Sizes and operations, counted as the models have them."""

import csv
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from mlrpl.doctor import report, sizes
from mlrpl.doctor.findings import examine, gigabytes
from mlrpl.doctor.work import find_sizes
from mlrpl.methods import counting
from support.doctor import (
    archive,
    in_one_line,
    load,
    machine,
    shown,
    small,
    write,
)


def test_an_own_data_set_is_counted_by_its_rows():
    rows = [["image", "split", "cat", "dog"], ["a", "train", 1, 0]]
    rows += [["b", "train", 1, ""], ["c", "test", 0, 1]]
    Path("mine").mkdir()
    with open("mine/l.csv", "w", newline="") as file:
        csv.writer(file).writerows(rows)
    archive("mine/i.zip")
    split = {"images": "i.zip", "labels": "l.csv"}
    both = {name: {**split, "select": name} for name in ("train", "test")}
    mine = {"format": "csv", "root": "mine", "splits": both}
    config = load(small(datasets={"voc2007": None, "mine": mine}))
    findings = examine(config, machine())
    assert findings.sizes.splits["mine"] == {
        "train": sizes.SplitCount(2, 2, "labels"),
        "test": sizes.SplitCount(1, 2, "labels"),
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
    found = find_sizes(config, ["coco2014"])
    count = found.count(config, f"coco2014/{method}").parameters
    assert round(count / 1e6, 2) == printed


def test_a_method_that_cannot_be_counted_is_said_to_be_unknown(
    monkeypatch, counted_once
):
    from mlrpl.methods.losses.p_asl import PartialAsymmetricLoss

    def forward(self, scores, labels):
        return scores.p[bool(labels.any())].sum()

    monkeypatch.setattr(counting, "count", counted_once)
    monkeypatch.setattr(PartialAsymmetricLoss, "forward", forward)
    findings = examine(load(small()), machine())
    text = in_one_line(shown(findings))
    assert "what a training takes is unknown: voc2007/sarl" in text
    assert "unknown: runs of voc2007/sarl" in text
    assert "1 trainings unknown" in text
    assert not findings.faults


def test_methods_that_can_be_counted_are_when_others_cannot(monkeypatch, counted_once):
    from mlrpl.methods.visual.semantic_decoupling import SemanticDecoupling

    def forward(self, features):
        return features[: int(features.sum())]

    monkeypatch.setattr(counting, "count", counted_once)
    monkeypatch.setattr(SemanticDecoupling, "forward", forward)
    overlay = small()
    overlay["experiments"]["table2"]["methods"] = ["sarl", "coop"]
    findings = examine(load(overlay), machine())
    assert findings.memory.largest == "voc2007/coop/prop=0.5/seed=0"
    assert findings.memory.unknown == ["voc2007/sarl"]
    assert "; unknown: voc2007/sarl" in in_one_line(shown(findings))


def test_sizes_in_words():
    values = [0, 999_499, 999_500, 13510573713, 999_960_000_000]
    words = ["0 B", "999 kB", "1.0 MB", "13.5 GB", "1.0 TB"]
    assert [gigabytes(value) for value in values] == words
    assert [report.duration(s) for s in (5, 100, 9000, 86400 * 8, 86400 * 1000)] == [
        *("5 s", "2 min", "2.5 h", "8 days"),
        "2.7 years",
    ]
